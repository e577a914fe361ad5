"""Loads a scripted model: a folder with script.json (see pagoda.execute.scripted) and a tokenizer."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from pagoda.engine.config import EngineConfig, EngineInfo
from pagoda.engine.loading import LoadedModel, end_tokens, plain
from pagoda.engine.memory import available_bytes
from pagoda.engine.sizes import ConfigurationError, choose_sizes
from pagoda.execute.base import BLOCK_SIZE
from pagoda.execute.scripted import SCRIPT_FILE, ScriptedExecutor, read_script
from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.load import load_tokenizer
from pagoda.text.tokenizer import Tokenizer

_BLOCK_BYTES = 64 * BLOCK_SIZE  #: about what the executor keeps of a block
_TOKENS_A_SECOND = 1e6  #: first guess of a prefill without arithmetic

_Value = TypeVar("_Value")


class _Config(msgspec.Struct, frozen=True):
    """What is read of config.json."""

    vocab_size: Annotated[int, msgspec.Meta(ge=1)] = 1
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1)] = 32_768


def load_scripted(config: EngineConfig) -> LoadedModel:
    """config.json may give vocab_size (at least the tokenizer's) and max_position_embeddings.

    Raises CheckpointError or ConfigurationError with one line.
    """
    started = time.monotonic()
    folder = Path(config.model_path)
    try:
        script = read_script(folder / SCRIPT_FILE)
    except ValueError as error:
        raise ConfigurationError(
            f"{error}; the scripted executor needs a folder with {SCRIPT_FILE}."
        ) from error
    described = _read(folder / "config.json", _Config)
    generation_config: dict[str, Any] = {**config.generation_config}
    if (folder / "generation_config.json").is_file():
        generation_config |= plain(_read(folder / "generation_config.json", dict[str, Any]))
    tokenizer = load_tokenizer(folder)
    if not tokenizer.eos_token_ids:
        raise ConfigurationError(
            f"{folder} names no end-of-sequence token; give one in tokenizer_config.json."
        )
    sizes = choose_sizes(config, described.max_position_embeddings, _BLOCK_BYTES, 0, available_bytes())
    executor = ScriptedExecutor(
        script,
        tokenizer,
        vocab_size=max(tokenizer.vocab_size, described.vocab_size),
        num_blocks=sizes.num_blocks,
        max_tokens=sizes.max_num_batched_tokens,
        eos_token_id=tokenizer.eos_token_ids[0],
        marks=_answer_marks(tokenizer),
        folder=folder,
    )
    info = EngineInfo(
        architecture="scripted",
        vocab_size=executor.vocab_size,
        max_model_len=sizes.max_model_len,
        num_blocks=executor.num_blocks,
        block_size=BLOCK_SIZE,
        weight_bytes=0,
        cache_bytes=executor.cache_bytes,
        max_num_seqs=sizes.max_num_seqs,
        max_num_batched_tokens=executor.max_tokens,
        num_threads=1,
        isa="script",
        weight_formats={"none": 0},
        load_seconds=time.monotonic() - started,
        pid=os.getpid(),
        eos_token_ids=end_tokens(tokenizer.eos_token_ids, generation_config),
        generation_config=generation_config,
        notes=sizes.notes,
    )
    return LoadedModel(executor, info, _TOKENS_A_SECOND)


def _read(path: Path, kind: type[_Value]) -> _Value:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _answer_marks(tokenizer: Tokenizer) -> list[str]:
    """What the chat template writes before an answer, with thinking on and off."""
    if tokenizer.chat_template is None:
        return []
    marks: list[str] = []
    messages = [{"role": "user", "content": "x"}]
    try:
        template = ChatTemplate(
            tokenizer.chat_template, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token
        )
        without = template.render(messages, add_generation_prompt=False)
        for thinking in (True, False):
            marks.append(template.render(messages, enable_thinking=thinking).removeprefix(without))
    except TemplateError:
        return []  # the server tells those who want to chat
    return marks
