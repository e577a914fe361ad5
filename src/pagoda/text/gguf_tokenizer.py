"""Builds a tokenizer from the metadata of a GGUF file (keys `tokenizer.*` of the GGUF specification)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from pagoda.text.token_bytes import ByteLevelSpelling, SentencePieceSpelling, Spelling
from pagoda.text.tokenizer import Tokenizer
from pagoda.weights.checkpoint import CheckpointError


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


# How a text is cut before merging: Qwen 2 and later, and Llama 3, publish these patterns in their
# tokenizer.json.
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

# Control tokens that end an answer in every model that has them, whatever the file calls its end token.
_END_TOKENS = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
)
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
_PRE_TOKENIZERS = ("smollm", "qwen2", "llama-bpe", "gpt-2")
_PRE_ALIASES = {
    "default": "gpt-2",
    "llama3": "llama-bpe",
    "llama-v3": "llama-bpe",
    "deepseek-r1-qwen": "qwen2",
}


def tokenizer_from_gguf(metadata: Mapping[str, Any], *, source: str = "GGUF file") -> Tokenizer:
    """The tokenizer that `metadata` describes; `source` names the file in errors. Raises CheckpointError."""
    model = metadata.get("tokenizer.ggml.model")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if model is None or not isinstance(tokens, list) or not tokens:
        raise CheckpointError(f"{source} has no tokenizer in it; use a file converted with its vocabulary.")
    types = [int(kind) for kind in metadata.get("tokenizer.ggml.token_type", [])] or [TokenType.NORMAL] * len(
        tokens
    )
    if len(types) != len(tokens):
        raise CheckpointError(
            f"{source} is damaged: {len(types)} token types for {len(tokens)} tokens; fetch the file again."
        )
    try:
        if model == "gpt2":
            backend, spelling = _byte_level(metadata, tokens, source)
        elif model == "llama":
            backend, spelling = _sentencepiece(metadata, tokens, types, source)
        else:
            raise CheckpointError(
                f"{source} has a tokenizer of kind {model!r}; supported are 'gpt2' (byte-level BPE) and "
                "'llama' (SentencePiece BPE)."
            )
        _add_special_tokens(backend, tokens, types)
        _add_bos_and_eos(backend, metadata, tokens)
    except CheckpointError:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception for a vocabulary it cannot use
        raise CheckpointError(f"{source} has a tokenizer that cannot be used: {error}") from error
    return Tokenizer(
        backend,
        spelling,
        bos_token_id=_token_id(metadata, "bos_token_id", len(tokens)),
        eos_token_ids=_end_ids(metadata, tokens, types),
        chat_template=metadata.get("tokenizer.chat_template"),
    )


def _byte_level(metadata: Mapping[str, Any], tokens: Sequence[str], source: str) -> tuple[Backend, Spelling]:
    merges = metadata.get("tokenizer.ggml.merges")
    if merges is None:
        raise CheckpointError(f"{source} has a byte-level BPE tokenizer without merges; use a complete file.")
    name = metadata.get("tokenizer.ggml.pre", "default")
    pre = _PRE_ALIASES.get(name, name)
    if pre not in _PRE_TOKENIZERS:
        raise CheckpointError(
            f"{source} cuts text by the rule {name!r}, which is not supported; supported are "
            f"{', '.join(_PRE_TOKENIZERS)}."
        )
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    backend = Backend(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=pre == "llama-bpe"))
    if pre in ("gpt-2", "smollm"):
        cut: pre_tokenizers.PreTokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        if pre == "smollm":
            cut = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), cut])
    else:
        pattern = Regex(_QWEN2 if pre == "qwen2" else _LLAMA3)
        cut = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(pattern, behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    backend.pre_tokenizer = cut
    if pre == "qwen2":
        backend.normalizer = normalizers.NFC()
    backend.decoder = decoders.ByteLevel()
    return backend, ByteLevelSpelling()


def _sentencepiece(
    metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int], source: str
) -> tuple[Backend, Spelling]:
    scores = metadata.get("tokenizer.ggml.scores")
    if scores is None or len(scores) != len(tokens):
        raise CheckpointError(f"{source} has a SentencePiece tokenizer without a score for each token.")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    mergeable = {token for token, kind in zip(tokens, types, strict=True) if kind == TokenType.NORMAL}
    unknown = _token_id(metadata, "unknown_token_id", len(tokens))
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    backend = Backend(
        models.BPE(
            vocab=vocabulary,
            merges=_merges_by_score(vocabulary, mergeable, [float(score) for score in scores]),
            unk_token=tokens[unknown] if unknown is not None else None,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    spaces = normalizers.Replace(" ", "\u2581")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), spaces] if prefix else [spaces])
    return backend, SentencePieceSpelling(strips_first_space=prefix)


def _merges_by_score(
    vocabulary: Mapping[str, int], mergeable: set[str], scores: Sequence[float]
) -> list[tuple[str, str]]:
    """SentencePiece merges the neighbours whose union scores highest: every way to cut a piece in two, best
    first.
    """
    found: list[tuple[float, int, int, str, str]] = []
    for token in mergeable:
        score = -scores[vocabulary[token]]
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in mergeable and right in mergeable:
                found.append((score, vocabulary[left], vocabulary[right], left, right))
    found.sort()
    return [(left, right) for _, _, _, left, right in found]


def _add_special_tokens(backend: Backend, tokens: Sequence[str], types: Sequence[int]) -> None:
    def added(kind: TokenType, special: bool) -> list[AddedToken]:
        return [
            AddedToken(token, special=special, normalized=False)
            for token, its in zip(tokens, types, strict=True)
            if its == kind and token
        ]

    backend.add_special_tokens(added(TokenType.CONTROL, True) + added(TokenType.UNKNOWN, True))
    backend.add_tokens(added(TokenType.USER_DEFINED, False))


def _add_bos_and_eos(backend: Backend, metadata: Mapping[str, Any], tokens: Sequence[str]) -> None:
    adds_bos = metadata.get("tokenizer.ggml.add_bos_token")
    if adds_bos is None:  # files without the key rely on the custom of their kind
        kinds = (metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre"))
        adds_bos = kinds[0] == "llama" or kinds[1] in ("llama-bpe", "llama3", "llama-v3")
    around: list[tuple[str, int]] = []
    template = "$A"
    bos = _token_id(metadata, "bos_token_id", len(tokens))
    eos = _token_id(metadata, "eos_token_id", len(tokens))
    if adds_bos and bos is not None:
        template = f"{tokens[bos]} {template}"
        around.append((tokens[bos], bos))
    if metadata.get("tokenizer.ggml.add_eos_token") and eos is not None:
        template = f"{template} {tokens[eos]}"
        around.append((tokens[eos], eos))
    if around:
        backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=around)


def _token_id(metadata: Mapping[str, Any], key: str, size: int) -> int | None:
    index = metadata.get(f"tokenizer.ggml.{key}")
    return int(index) if index is not None and 0 <= int(index) < size else None


def _end_ids(metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]) -> list[int]:
    ends = [index for key in _END_KEYS if (index := _token_id(metadata, key, len(tokens))) is not None]
    ends += [i for i, kind in enumerate(types) if kind == TokenType.CONTROL and tokens[i] in _END_TOKENS]
    return ends
