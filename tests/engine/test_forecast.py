"""What is foretold of a model from its files against what loading it brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.helpers.models import TinySizes, tiny_folder, tiny_gguf
from tests.helpers.scripted import scripted_model

from pagoda.engine.config import EngineConfig
from pagoda.engine.forecast import ForecastError, forecast
from pagoda.engine.loading import load_model
from pagoda.engine.sizes import ConfigurationError

PLENTY = 10**10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = TinySizes(max_position_embeddings=4096)
    return tiny_folder(tmp_path_factory.mktemp("forecast") / "model", sizes=sizes)


def config(model: Path, **settings: Any) -> EngineConfig:
    return EngineConfig(model_path=str(model), executor="reference", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_model_len": 100},
        {"kv_cache_memory_bytes": 1 << 22},
        {"memory_share": 0.7},
        {"num_gpu_blocks_override": 5},
        {"hf_overrides": {"max_position_embeddings": 1000}},
    ],
)
def test_as_much_as_foretold_gives_the_context_that_was_foretold(
    model: Path, settings: dict[str, Any]
) -> None:
    told = forecast(config(model, **settings), PLENTY)
    enough = load_model(config(model, **settings, memory_limit_bytes=told.least_bytes)).info
    assert enough.max_model_len == told.max_model_len
    assert enough.weight_bytes + enough.cache_bytes <= told.least_bytes
    assert (
        load_model(config(model, **settings, memory_limit_bytes=PLENTY)).info.max_model_len
        == told.max_model_len
    )


def test_less_gives_less(model: Path) -> None:
    told = forecast(config(model), PLENTY)
    assert told.max_model_len == 4096
    short = load_model(config(model, memory_limit_bytes=told.least_bytes * 3 // 4)).info
    assert short.max_model_len < 4096
    with pytest.raises(ConfigurationError, match="weights need"):
        load_model(config(model, memory_limit_bytes=1000))


def test_formats_and_executors(tmp_path: Path) -> None:
    packed = EngineConfig(model_path=str(tiny_gguf(tmp_path / "tiny.gguf")))
    assert forecast(packed, PLENTY).max_model_len == 512
    int8 = forecast(msgspec.structs.replace(packed, quantization="int8"), PLENTY)
    assert 0 < int8.least_bytes < forecast(config(tmp_path / "tiny.gguf"), PLENTY).least_bytes
    scripted = scripted_model(tmp_path / "scripted", [], default="x", tokenizer="tiny")
    told = forecast(EngineConfig(model_path=str(scripted), executor="scripted"), PLENTY)
    assert told.max_model_len is not None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_model_len": 99_999}, "the model's own limit"),
        ({"lora": "/nothing"}, "No adapter found"),
        ({"runner": "sing"}, "unknown runner"),
        ({"hf_overrides": {"hidden_size": 7}}, "hidden_size|shape|size"),
    ],
)
def test_what_loading_would_refuse(model: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ForecastError, match=words) as caught:
        forecast(config(model, **settings), PLENTY)
    assert "\n" not in str(caught.value)
    assert caught.value.no_adapter == ("lora" in settings)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ForecastError, match="does not exist"):
        forecast(config(tmp_path / "absent"), None)
