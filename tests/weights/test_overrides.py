from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.models import tiny_folder, tiny_gguf

from pagoda.weights import CheckpointError, open_checkpoint
from pagoda.weights.tensor import Format

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}


@pytest.mark.parametrize(
    "config",
    [{}, {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}],
    ids=["transformers 4", "transformers 5"],
)
def test_scaling_and_base_reach_a_folder_of_either_kind(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = tiny_folder(tmp_path, config=config)
    base = open_checkpoint(folder).config
    scaled = open_checkpoint(folder, overrides={"rope_scaling": YARN}).config
    assert scaled.rope_scaling is not None
    assert (scaled.rope_scaling.kind, scaled.rope_scaling.factor) == ("yarn", 4.0)
    assert scaled.rope_theta == base.rope_theta, "the base stays"
    assert scaled.max_position_embeddings == 2048, "the context grows by the factor"
    assert open_checkpoint(folder, overrides={"rope_theta": 123456.0}).config.rope_theta == 123456.0


def test_a_gguf_file_takes_what_fits_its_tensors(tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "tiny.gguf")
    overrides = {"rope_scaling": YARN, "rope_theta": 5e5, "eos_token_id": [1, 2], "rms_norm_eps": 1e-3}
    config = open_checkpoint(file, overrides=overrides).config
    assert config.max_position_embeddings == 2048
    assert (config.rope_theta, config.eos_token_ids, config.rms_norm_eps) == (5e5, (1, 2), 1e-3)
    longer = open_checkpoint(file, overrides={"max_position_embeddings": 1024}).config
    assert (longer.max_position_embeddings, longer.rope_scaling) == (1024, None)
    with pytest.raises(CheckpointError, match="'num_hidden_layers' cannot be changed"):
        open_checkpoint(file, overrides={"num_hidden_layers": 1})


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"rope_scaling": {"rope_type": "spiral"}}, "spiral"),
        ({"rope_scaling": 3}, "not an object"),
        ({"max_position_embeddings": "long"}, "max_position_embeddings"),
        ({"max_position_embeddings": -5}, "context length"),
    ],
)
def test_nonsense_gives_one_line(tmp_path: Path, overrides: dict[str, Any], words: str) -> None:
    for model in (tiny_folder(tmp_path / "folder"), tiny_gguf(tmp_path / "tiny.gguf")):
        with pytest.raises(CheckpointError, match=words):
            open_checkpoint(model, overrides=overrides)


def test_other_fields_of_config_json(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path, config={"architectures": ["UnknownForCausalLM"]})
    config = open_checkpoint(folder, overrides={"architectures": ["LlamaForCausalLM"]}).config
    assert config.architecture == "llama"


def test_dummy_weights_need_no_files_and_repeat(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path, "qwen2", config={"torch_dtype": "float16"})
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    with pytest.raises(CheckpointError, match="fetch"):
        open_checkpoint(folder)
    first, again, other = (open_checkpoint(folder, dummy_seed=seed) for seed in (1, 1, 2))
    name = "model.layers.0.self_attn.q_proj.weight"
    drawn = first.tensor(name)
    assert drawn.format is Format.F16
    np.testing.assert_array_equal(drawn.data, again.tensor(name).data)
    assert not np.array_equal(drawn.data, other.tensor(name).data)
    values = drawn.dequantize()
    assert abs(values.std() * values.shape[1] ** 0.5 - 1) < 0.1
    assert (first.tensor("model.norm.weight").dequantize() == 1).all()
    assert (first.tensor("model.layers.0.self_attn.q_proj.bias").dequantize() == 0).all()
    packed = open_checkpoint(folder, "int8", dummy_seed=1).tensor(name)
    assert packed.format is Format.INT8
    assert np.abs(packed.dequantize() - values).max() < 0.02
