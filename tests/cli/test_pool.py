"""From options to the pool of a server, without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.engines import StillEngine

from pagoda.api.model_pool import ModelPool
from pagoda.api.settings import ServerSettings
from pagoda.cli.errors import UsageError
from pagoda.cli.pool import build_pool, engine_config
from pagoda.cli.service import LoraModule, ModelChoice, ServiceOptions
from pagoda.engine.config import EngineConfig
from pagoda.hub import LocalModel

FOUND = [LocalModel(Path(f"/{name}"), f"org/{name}", "hub") for name in ("first", "second")]


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / file).write_bytes(b"")
    return str(tmp_path)


def pool(*modules: LoraModule, name: str | None = None, **server: Any) -> ModelPool:
    settings = ServerSettings(served_model_names=("main", "alias"), **server)
    options = ServiceOptions(
        models=(ModelChoice("org/first"), ModelChoice("org/second", name)),
        engine=EngineConfig(model_path="", max_model_len=64, quantization="int8", chat_template="T"),
        server=settings,
        lora_modules=modules,
        model_memory=10**9,
        keep_alive=7.0,
        max_loaded_models=2,
    )
    return build_pool(options, settings, FOUND, StillEngine(engine_config(options, FOUND[0])))


def test_models_in_the_order_they_were_named_and_adapters_behind(adapter: str) -> None:
    made = pool(
        LoraModule("tuned", adapter),
        LoraModule("other", adapter, "org/second"),
        LoraModule("third", adapter, "org/first"),
    )
    assert [model.names for model in made.list()] == [
        ("main", "alias"),
        ("org/second",),
        ("tuned",),
        ("other",),
        ("third",),
    ]
    assert [model.parent for model in made.list()] == [None, None, "main", "org/second", "main"]
    assert made.find("tuned").config.lora == made.find("tuned").root == adapter
    limits = made.limits
    assert (limits.keep_alive, limits.max_loaded, limits.memory_bytes) == (7.0, 2, 10**9)


def test_what_describes_the_first_model_is_its_own(adapter: str) -> None:
    made = pool(LoraModule("tuned", adapter), reasoning_parser="deepseek_r1", tool_call_parser="hermes")
    first, second, tuned = made.list()
    for model in (first, tuned):
        assert (model.config.chat_template, model.config.max_model_len) == ("T", 64)
        assert model.settings.reasoning_parser == "deepseek_r1"
        assert model.settings.tool_call_parser == "hermes"
    assert (second.config.chat_template, second.config.max_model_len) == (None, None)
    assert second.config.quantization == "int8"
    assert (second.settings.reasoning_parser, second.settings.tool_call_parser) == ("auto", "auto")
    off = pool(reasoning_parser=None, tool_call_parser=None).list()[1].settings
    assert (off.reasoning_parser, off.tool_call_parser) == (None, None)


def test_mistakes_are_one_line(adapter: str) -> None:
    with pytest.raises(UsageError, match="two models have the name 'main'"):
        pool(name="main")
    with pytest.raises(UsageError, match="the adapter 'x' is for 'y', which is not served here"):
        pool(LoraModule("x", adapter, "y"))
    with pytest.raises(UsageError, match="the adapter 'x': there is no folder"):
        pool(LoraModule("x", "./absent"))
