"""Reads a tokenizer from a model folder: tokenizer.json and Hugging Face's files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from tokenizers import Tokenizer as Backend

from pagoda.text.token_bytes import spelling_of
from pagoda.text.tokenizer import Tokenizer
from pagoda.weights.checkpoint import CheckpointError


class _Parts(msgspec.Struct, frozen=True):
    """What is read of tokenizer.json here: the rest, which is large, is passed over."""

    decoder: dict[str, Any] | None = None


def tokenizer_from_folder(folder: Path) -> Tokenizer:
    """The tokenizer of `folder`. Raises CheckpointError where tokenizer.json is missing, broken or of unknown
    kind.

    The end tokens are those of generation_config.json, tokenizer_config.json and config.json together; the
    chat template is chat_template.jinja, else the one in tokenizer_config.json.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise CheckpointError(f"{folder} has no tokenizer.json; a model folder needs one.")
    try:
        content = file.read_text("utf-8")
        decoder = msgspec.json.decode(content, type=_Parts).decoder
        backend = Backend.from_str(content)
        backend.no_truncation()  # what a file says of these is how its maker used it
        backend.no_padding()
    except Exception as error:  # the tokenizers library raises plain Exception
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    spelling = spelling_of(decoder)
    if spelling is None:
        kind = decoder.get("type") if isinstance(decoder, dict) else decoder
        raise CheckpointError(
            f"{file} decodes by the rule {kind!r}, which is not supported; "
            "supported are byte-level BPE, SentencePiece and WordPiece."
        )
    settings = _json(folder / "tokenizer_config.json")
    return Tokenizer(
        backend,
        spelling,
        bos_token_id=_id_of(backend, settings.get("bos_token")),
        eos_token_ids=_end_ids(backend, settings, folder),
        chat_template=_chat_template(settings, folder),
    )


def _end_ids(backend: Backend, settings: Mapping[str, Any], folder: Path) -> list[int]:
    ends: list[Any] = []
    named = _id_of(backend, settings.get("eos_token"))
    if named is not None:
        ends.append(named)
    for name in ("generation_config.json", "config.json"):
        listed = _json(folder / name).get("eos_token_id")
        ends.extend(listed if isinstance(listed, list) else [listed])
    return [index for index in ends if isinstance(index, int) and not isinstance(index, bool)]


def _id_of(backend: Backend, token: Any) -> int | None:
    content = token.get("content") if isinstance(token, dict) else token
    index: int | None = backend.token_to_id(content) if isinstance(content, str) else None
    return index


def _chat_template(settings: Mapping[str, Any], folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):  # several named templates
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}
