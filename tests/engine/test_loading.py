from __future__ import annotations

import json
from pathlib import Path

import msgspec
from tests.helpers.models import tiny_folder

from pagoda.engine.config import EngineConfig
from pagoda.engine.loading import load_model


def test_advised_sampling_fills_what_the_checkpoint_leaves_open(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", "llama")
    advised = {"temperature": 0.2, "top_p": 0.9}
    config = EngineConfig(
        model_path=str(folder),
        generation_config=advised,
        executor="reference",
        kv_cache_memory_bytes=1 << 22,
    )
    own = json.loads((folder / "generation_config.json").read_text())
    assert load_model(config).info.generation_config == {**advised, **own}

    (folder / "generation_config.json").write_text(json.dumps({**own, "temperature": 0.7}))
    info = load_model(config).info
    assert (info.generation_config["temperature"], info.generation_config["top_p"]) == (0.7, 0.9)
    assert load_model(msgspec.structs.replace(config, generation_config={})).info.generation_config == {
        **own,
        "temperature": 0.7,
    }
