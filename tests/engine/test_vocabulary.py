"""The vocabulary that is read straight from files is that of the tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.models import tiny_folder, tiny_gguf
from tests.text.vocabularies import byte_level_metadata, sentencepiece_metadata
from tokenizers import Tokenizer, decoders, models

from pagoda.engine.vocabulary import load_vocabulary
from pagoda.text.gguf_tokenizer import tokenizer_from_gguf
from pagoda.text.load import load_tokenizer
from pagoda.weights.checkpoint import CheckpointError


def check(path: Path, size: int | None = None) -> None:
    tokenizer = load_tokenizer(path)
    size = tokenizer.vocab_size if size is None else size
    found = load_vocabulary(path, size)
    assert found.tokens == [tokenizer.token_bytes(index) for index in range(size)]
    assert found.special_ids == frozenset(index for index in tokenizer.special_ids if index < size)


def test_of_a_gguf_file(tmp_path: Path) -> None:
    check(tiny_gguf(tmp_path / "model.gguf"))


def test_of_a_folder(tmp_path: Path) -> None:
    check(tiny_folder(tmp_path / "model"))


def test_of_the_default_model(default_model_path: Path) -> None:
    check(default_model_path)


@pytest.mark.parametrize("kind", ["byte level", "sentencepiece"])
def test_of_folders_of_other_kinds(tmp_path: Path, kind: str) -> None:
    metadata = byte_level_metadata() if kind == "byte level" else sentencepiece_metadata()
    backend = tokenizer_from_gguf(metadata)._backend
    if kind == "sentencepiece":
        steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
        backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    backend.save(str(tmp_path / "tokenizer.json"))
    check(tmp_path)


def test_more_or_fewer_tokens_than_the_model_has(tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "model")
    full = load_tokenizer(model).vocab_size
    check(model, full - 7)
    check(model, full + 7)


def test_a_file_of_another_form_is_read_by_the_tokenizer(tmp_path: Path) -> None:
    """Such as a Unigram model, whose vocabulary is a list."""
    backend = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581a", -1.0), ("b", -2.0)], unk_id=0))
    backend.decoder = decoders.Metaspace()
    backend.save(str(tmp_path / "tokenizer.json"))
    check(tmp_path)


def test_no_tokenizer_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        load_vocabulary(tmp_path, 10)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_vocabulary(tmp_path, 10)
