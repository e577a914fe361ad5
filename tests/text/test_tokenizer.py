from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.vocabularies import DATA, byte_level_metadata, sentencepiece_data, sentencepiece_metadata

from pagoda.text.gguf_tokenizer import tokenizer_from_gguf
from pagoda.text.load import load_tokenizer
from pagoda.text.tokenizer import Tokenizer
from pagoda.weights.checkpoint import CheckpointError

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "tokenizers"


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token_text(index) for index in tokenizer.encode(text)]


@given(text=UNICODE)
def test_byte_level_round_trip(byte_level: Tokenizer, text: str) -> None:
    assert byte_level.decode(byte_level.encode(text), skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "text", ["你好，世界", "😀 👩‍👩‍👧 family", "naïve\u0301", "\x00\x7f\u2028", "<|im_end|>", "  a  b\n\n"]
)
@pytest.mark.parametrize("pre", ["smollm", "llama-bpe", "gpt-2"])
def test_round_trip_of_hard_texts(pre: str, text: str) -> None:
    tokenizer = tokenizer_from_gguf(byte_level_metadata(pre, add_bos_token=False))
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=False) == text


def test_long_texts_are_cut_as_short_ones_are(byte_level: Tokenizer) -> None:
    text = "<|im_start|>Hello, wörld 你好 " * 500
    assert byte_level.encode(text) == byte_level._backend.encode(text).ids
    with pytest.raises(ValueError, match="lone surrogates"):
        byte_level.encode(text + "\ud800")


def test_counting_ends_where_it_is_enough(byte_level: Tokenizer) -> None:
    text = "Hello " * 100_000
    whole = len(byte_level.encode(text))
    assert abs(byte_level.count_up_to(text, 10**9) - whole) <= 40  # ten pieces
    assert 1000 < byte_level.count_up_to(text, 1000) < whole / 4


@given(ids=st.lists(st.integers(0, 300)))
def test_decoding_is_that_of_the_tokenizers_library(byte_level: Tokenizer, ids: list[int]) -> None:
    known = [index for index in ids if index < byte_level.vocab_size]
    for skip in (True, False):
        expected = byte_level._backend.decode(known, skip_special_tokens=skip)
        assert byte_level.decode(ids, skip_special_tokens=skip) == expected


def test_special_tokens_are_recognised_in_text_and_left_out_of_decoded_text(byte_level: Tokenizer) -> None:
    ids = byte_level.encode("<|im_start|>hello<|im_end|>")
    assert ids[0] == 1
    assert ids[-1] == 2
    assert byte_level.decode(ids) == "hello"
    assert byte_level.special_ids == {0, 1, 2}


def test_user_defined_tokens_are_one_token_and_stay_in_decoded_text(byte_level: Tokenizer) -> None:
    ids = byte_level.encode("<tool_call>")
    assert len(ids) == 1
    assert byte_level.decode(ids) == "<tool_call>"


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ("smollm", ["hello", " world", " ", "1", "2"]),
        ("qwen2", ["hello", " world", " ", "1", "2"]),
        ("llama-bpe", ["hello", " world", " ", "12"]),
        ("gpt-2", ["hello", " world", " ", "12"]),
        ("default", ["hello", " world", " ", "12"]),
    ],
)
def test_text_is_cut_by_the_rule_of_the_model(pre: str, expected: list[str]) -> None:
    tokenizer = tokenizer_from_gguf(byte_level_metadata(pre, add_bos_token=False))
    assert pieces(tokenizer, "hello world 12") == expected


def test_end_tokens_are_those_of_the_file_and_the_known_ones(byte_level: Tokenizer) -> None:
    assert byte_level.eos_token_ids == (2, 0)
    assert (byte_level.bos_token, byte_level.eos_token) == ("<|im_start|>", "<|im_end|>")


@pytest.mark.parametrize(
    ("changes", "first"), [({"add_bos_token": True}, 1), ({"add_bos_token": False}, 0), ({}, 0)]
)
def test_bos_is_added_where_the_file_says_so(changes: dict[str, bool], first: int) -> None:
    tokenizer = tokenizer_from_gguf(byte_level_metadata(**changes))
    assert (tokenizer.encode("the")[0] == 1) == bool(first)
    assert tokenizer.encode("the", add_special_tokens=False)[0] != 1


def test_sentencepiece_agrees_with_the_original_library(sentencepiece: Tokenizer) -> None:
    for vector in sentencepiece_data()["vectors"]:
        ids = sentencepiece.encode(vector["text"], add_special_tokens=False)
        assert ids == vector["ids"], vector["text"]
        assert sentencepiece.decode(ids) == vector["decoded"]


def test_sentencepiece_adds_bos_by_custom(sentencepiece: Tokenizer) -> None:
    assert sentencepiece.encode("the")[0] == sentencepiece.bos_token_id == 1


def test_a_lone_surrogate_is_an_error_of_one_line(byte_level: Tokenizer) -> None:
    with pytest.raises(ValueError, match="lone surrogates"):
        byte_level.encode("\ud800")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "has no tokenizer"),
        (byte_level_metadata(model="bert"), "of kind 'bert'"),
        (byte_level_metadata("tekken"), "rule 'tekken', which is not supported"),
        (byte_level_metadata(merges=None), "without merges"),
        (byte_level_metadata(token_type=[1]), "1 token types for"),
        (byte_level_metadata(merges=["h qq"]), "cannot be used"),
        (sentencepiece_metadata() | {"tokenizer.ggml.scores": [0.0]}, "without a score"),
    ],
)
def test_metadata_that_cannot_be_used_is_named(metadata: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        tokenizer_from_gguf(metadata, source="model.gguf")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model.gguf")


def folder_with(folder: Path, tokenizer: Tokenizer, **files: object) -> Path:
    tokenizer._backend.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return folder


def test_a_folder_gives_the_same_tokens_as_the_file(tmp_path: Path, byte_level: Tokenizer) -> None:
    settings = {
        "eos_token": {"content": "<|im_end|>"},
        "bos_token": "<|im_start|>",
        "chat_template": "from settings",
    }
    ends = {"eos_token_id": [2, 0]}
    loaded = load_tokenizer(
        folder_with(tmp_path, byte_level, tokenizer_config=settings, generation_config=ends)
    )
    text = "<|im_start|>hello 世界 12<|im_end|>"
    assert loaded.encode(text) == byte_level.encode(text)
    assert loaded.eos_token_ids == (2, 0)
    assert loaded.bos_token_id == 1
    assert loaded.chat_template == "from settings"


def test_a_template_file_beside_the_folder_wins(tmp_path: Path, byte_level: Tokenizer) -> None:
    folder = folder_with(tmp_path, byte_level, tokenizer_config={"chat_template": "from settings"})
    (folder / "chat_template.jinja").write_text("from file", "utf-8")
    assert load_tokenizer(folder).chat_template == "from file"


def test_of_several_templates_the_default_is_taken(tmp_path: Path, byte_level: Tokenizer) -> None:
    templates = [{"name": "rag", "template": "b"}, {"name": "default", "template": "a"}]
    folder = folder_with(tmp_path, byte_level, tokenizer_config={"chat_template": templates})
    assert load_tokenizer(folder).chat_template == "a"


def test_a_sentencepiece_folder_decodes_as_the_file(tmp_path: Path, sentencepiece: Tokenizer) -> None:
    from tokenizers import decoders

    backend = sentencepiece._backend
    backend.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    loaded = load_tokenizer(folder_with(tmp_path, sentencepiece))
    for vector in sentencepiece_data()["vectors"]:
        assert loaded.decode(vector["ids"]) == vector["decoded"] == backend.decode(vector["ids"])


@pytest.mark.parametrize(("content", "message"), [(None, "has no tokenizer.json"), ("{", "cannot be read")])
def test_a_broken_folder_is_an_error_of_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content, "utf-8")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_path_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist; give a GGUF file or a model folder"):
        load_tokenizer(tmp_path / "absent.gguf")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (PUBLISHED / "build.py").is_file():
        pytest.skip(f"needs the published Qwen tokenizers, which are not at {PUBLISHED}")
    folder = tmp_path_factory.mktemp("qwen")
    subprocess.run(
        [sys.executable, str(PUBLISHED / "build.py"), str(folder)], check=True, capture_output=True
    )
    return folder


@pytest.mark.parametrize("family", ["qwen2.5", "qwq", "qwen3"])
def test_qwen_vectors(published: Path, family: str) -> None:
    tokenizer = load_tokenizer(published / family)
    texts = (PUBLISHED / "vectors.input.txt").read_text("utf-8").split("\n__ggml_vocab_test__\n")
    expected = (PUBLISHED / "vectors.ids.txt").read_text("utf-8").splitlines()
    assert len(texts) >= 46
    for text, ids in zip(texts, expected, strict=False):
        assert tokenizer.encode(text) == [int(index) for index in ids.split()], text
    assert tokenizer.eos_token == "<|im_end|>"


def test_qwen_from_gguf_metadata_gives_the_same_vectors(published: Path) -> None:
    """The same vocabulary told in GGUF's way."""
    content = json.loads((published / "qwen3" / "tokenizer.json").read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    added = {entry["id"]: entry for entry in content["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__) + [entry["content"] for entry in added.values()]
    kinds = [1] * len(vocabulary) + [3 if entry["special"] else 4 for entry in added.values()]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in content["model"]["merges"]],
        "tokenizer.ggml.eos_token_id": tokens.index("<|im_end|>"),
    }
    tokenizer = tokenizer_from_gguf(metadata)
    reference = load_tokenizer(published / "qwen3")
    texts = (PUBLISHED / "vectors.input.txt").read_text("utf-8").split("\n__ggml_vocab_test__\n")
    for text in [*texts, "<|im_start|>user\n<think>你好</think><|im_end|>"]:
        assert tokenizer.encode(text) == reference.encode(text)
    assert tokenizer.special_ids == reference.special_ids
    assert set(tokenizer.eos_token_ids) == {151645, 151643}


def test_default_model_round_trip_and_known_tokens(default_model_path: Path) -> None:
    tokenizer = load_tokenizer(default_model_path)
    assert tokenizer.vocab_size == 49152
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.encode("<|im_start|>user\nhi<|im_end|>\n") == [1, 4093, 198, 6004, 2, 198]
    for text in ("Hello 2026, 你好 😀 👩‍👩‍👧", "def f(x):\n\treturn x**2\n", "Grüße, naïve café"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_default_model_agrees_with_llama_cpp(default_model_path: Path) -> None:
    tokenizer = load_tokenizer(default_model_path)
    vectors = json.loads((DATA / "smollm.json").read_text("utf-8"))
    assert len(vectors) > 50
    for vector in vectors:
        assert tokenizer.encode(vector["text"]) == vector["ids"], vector["text"]
