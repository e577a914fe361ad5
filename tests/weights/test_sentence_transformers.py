"""What a folder says of its embeddings, and BERT's configuration and tensor names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.helpers import goldens

from pagoda.weights import open_checkpoint
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.sentence_transformers import PoolingSettings, pooling_settings
from pagoda.weights.tensor import Format


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return Path(shutil.copytree(goldens.FOLDER / "bert", tmp_path / "bert"))


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return Path(shutil.copytree(goldens.FOLDER / "bert_classifier", tmp_path / "classifier"))


def settings(folder: Path) -> PoolingSettings:
    return pooling_settings(folder, open_checkpoint(folder, purpose="pooling").config)


def change(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_modules_decide(bert: Path) -> None:
    assert settings(bert) == PoolingSettings("mean", True, None)
    modules = json.loads((bert / "modules.json").read_text())
    (bert / "modules.json").write_text(json.dumps(modules[:2]))
    assert not settings(bert).normalize
    (bert / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    assert settings(bert).max_length == 128


@pytest.mark.parametrize(
    ("content", "method"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "lasttoken"}, "last"),
    ],
)
def test_ways_of_pooling(bert: Path, content: dict[str, Any], method: str) -> None:
    (bert / "1_Pooling" / "config.json").write_text(json.dumps(content))
    assert settings(bert).method == method


@pytest.mark.parametrize(
    "content",
    [
        {"pooling_mode_max_tokens": True},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {},
        {"pooling_mode": "max"},
    ],
)
def test_ways_of_pooling_that_are_not_supported(bert: Path, content: dict[str, Any]) -> None:
    (bert / "1_Pooling" / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="not supported"):
        settings(bert)


@pytest.mark.parametrize("content", ["{}", "[1]", "[", '[{"type": "sentence_transformers.models.Dense"}]'])
def test_modules_that_cannot_be_used(bert: Path, content: str) -> None:
    (bert / "modules.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"modules\.json"):
        settings(bert)


def test_without_modules_an_encoder_takes_the_first_token(bert: Path) -> None:
    (bert / "modules.json").unlink()
    assert settings(bert) == PoolingSettings("cls", True)


@pytest.mark.parametrize(
    ("changes", "labels", "activation"),
    [
        ({}, ("LABEL_0",), "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, None, "identity"),
        (
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}},
            None,
            "sigmoid",
        ),
    ],
)
def test_a_classifiers_scores(
    classifier: Path, changes: dict[str, Any], labels: tuple[str, ...] | None, activation: str
) -> None:
    change(classifier / "config.json", **changes)
    found = settings(classifier)
    assert found.activation == activation
    assert labels is None or found.labels == labels


def test_a_classifier_of_several_labels(classifier: Path) -> None:
    weights = load_file(classifier / "model.safetensors")
    weights["classifier.weight"] = np.repeat(weights["classifier.weight"], 3, axis=0)
    weights["classifier.bias"] = np.repeat(weights["classifier.bias"], 3)
    save_file(weights, classifier / "model.safetensors")
    change(classifier / "config.json", id2label={"0": "no", "1": "maybe", "2": "yes"})
    found = settings(classifier)
    assert (found.labels, found.activation) == (("no", "maybe", "yes"), "softmax")
    change(classifier / "config.json", problem_type="multi_label_classification")
    assert settings(classifier).activation == "sigmoid"


def test_an_activation_that_is_not_known(classifier: Path) -> None:
    change(classifier / "config.json", sbert_ce_default_activation_function="my.Own")
    with pytest.raises(CheckpointError, match=r"my\.Own"):
        settings(classifier)


def test_names_of_models_around_bert_and_of_old_files(classifier: Path) -> None:
    weights = load_file(classifier / "model.safetensors")
    assert any(name.startswith("bert.") for name in weights)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights.items()
    }
    save_file(old, classifier / "model.safetensors")
    checkpoint = open_checkpoint(classifier, purpose="pooling")
    found = checkpoint.tensor("embeddings.LayerNorm.weight")
    assert found.format is Format.F16
    np.testing.assert_array_equal(found.data, weights["bert.embeddings.LayerNorm.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "silu"}, "activation 'silu'"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"num_attention_heads": 5}, "cannot be shared by 5 heads"),
        ({"num_attention_heads": 0}, "cannot be shared"),
        ({"type_vocab_size": -1}, "segments"),
        ({"layer_norm_eps": -1.0}, "epsilon"),
        ({"vocab_size": 255}, "asks? for"),
        ({"max_position_embeddings": 321}, "asks? for"),
        ({"num_hidden_layers": 3}, "no tensor"),
    ],
)
def test_configurations_that_cannot_be_used(bert: Path, changes: dict[str, Any], message: str) -> None:
    change(bert / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(bert, purpose="pooling")
    assert "\n" not in str(caught.value)


def test_roberta_is_bert_with_positions_that_begin_later() -> None:
    checkpoint = open_checkpoint(goldens.FOLDER / "roberta_classifier", purpose="pooling")
    stored = load_file(goldens.FOLDER / "roberta_classifier" / "model.safetensors")
    table = checkpoint.tensor("embeddings.position_embeddings.weight")
    assert checkpoint.config.max_position_embeddings == 320
    assert table.shape == checkpoint.shape(table.name) == (320, 64)
    np.testing.assert_array_equal(table.data, stored["roberta.embeddings.position_embeddings.weight"][2:])
    head = checkpoint.tensor("pooler.dense.weight").data
    np.testing.assert_array_equal(head, stored["classifier.dense.weight"])


def test_small_tables_are_not_quantised(bert: Path) -> None:
    checkpoint = open_checkpoint(bert, "int8", "pooling")
    assert checkpoint.format("encoder.layer.0.attention.self.query.weight") is Format.INT8
    assert checkpoint.format("embeddings.word_embeddings.weight") is Format.INT8
    assert checkpoint.format("embeddings.position_embeddings.weight") is Format.BF16


def test_a_decoder_saved_without_its_head(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(goldens.FOLDER / "qwen3", tmp_path / "qwen3"))
    weights = load_file_bf16(folder / "model.safetensors")
    bare = {name.removeprefix("model."): data for name, data in weights.items() if name != "lm_head.weight"}
    write_bf16(bare, folder / "model.safetensors")
    change(folder / "config.json", architectures=["Qwen3Model"])
    checkpoint = open_checkpoint(folder, purpose="pooling")
    whole = open_checkpoint(goldens.FOLDER / "qwen3")
    for name in ("model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight"):
        np.testing.assert_array_equal(checkpoint.tensor(name).data, whole.tensor(name).data)
    with pytest.raises(CheckpointError, match="lm_head"):
        open_checkpoint(folder)


def load_file_bf16(path: Path) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """NumPy has no bfloat16: shapes and bytes, from the format's own header."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    return {
        name: (tuple(entry["shape"]), content[8 + size :][slice(*entry["data_offsets"])])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def write_bf16(tensors: dict[str, tuple[tuple[int, ...], bytes]], path: Path) -> None:
    header, at = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + b"".join(d for _, d in tensors.values()))
