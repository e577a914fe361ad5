"""From texts and pairs of texts to what a pooling engine is asked: tokens, cut where that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pagoda.engine.config import EngineInfo
from pagoda.engine.validation import PromptError, context_message
from pagoda.text.tokenizer import EncodedText, Tokenizer

PoolingPrompt: TypeAlias = str | tuple[str, str] | Sequence[int]
Side: TypeAlias = Literal["left", "right"]

_LONGEST_TOKEN = 256  #: characters; see validation.py


@dataclass(frozen=True, slots=True)
class PoolingInput:
    """A prompt in tokens; `segments_from` is where the second text of a pair begins, for models that tell."""

    token_ids: list[int]
    segments_from: int | None = None


@dataclass(frozen=True, slots=True)
class Truncation:
    """Cut prompts to so many tokens, what the model wants around a text among them; -1: to what fits.

    side: which end is cut off. limit None: nothing is cut, and a prompt that does not fit is refused.
    """

    limit: int | None = None
    side: Side = "right"

    def tokens(self, max_model_len: int) -> int | None:
        """Raises PromptError for a limit that makes no sense."""
        if self.limit is None:
            return None
        if self.limit != -1 and self.limit < 1:
            raise PromptError("truncate_prompt_tokens", "truncate_prompt_tokens must be -1 or at least 1.")
        if self.limit > max_model_len:
            raise PromptError(
                "truncate_prompt_tokens",
                f"truncate_prompt_tokens value ({self.limit}) is greater than max_model_len "
                f"({max_model_len}). Please request a smaller truncation size.",
            )
        return max_model_len if self.limit == -1 else self.limit


def read_prompts(
    tokenizer: Tokenizer | None,
    prompts: Sequence[PoolingPrompt],
    info: EngineInfo,
    truncation: Truncation,
) -> list[PoolingInput]:
    """The prompts in tokens, in their order. Token ids are taken as they are. Raises PromptError."""
    limit = truncation.tokens(info.max_model_len)
    texts = [_bounded(prompt, info, limit, truncation.side) for prompt in prompts if _is_text(prompt)]
    if texts and tokenizer is None:
        raise PromptError("prompt", "Texts need a tokenizer; give prompts as token ids.")
    encoded: Iterable[EncodedText] = ()
    if tokenizer is not None and texts:
        try:
            encoded = tokenizer.encode_texts(texts)
        except ValueError as error:
            raise PromptError("input", f"{str(error)[0].upper()}{str(error)[1:]}.") from error
    waiting = iter(encoded)
    found = []
    for prompt in prompts:
        if _is_text(prompt):
            found.append(_from_text(next(waiting), info, limit, truncation.side))
        else:
            found.append(_from_ids(list(prompt), info, limit, truncation.side))  # type: ignore[arg-type]
    return found


def _is_text(prompt: PoolingPrompt) -> bool:
    return isinstance(prompt, str | tuple)


def _bounded(prompt: PoolingPrompt, info: EngineInfo, limit: int | None, side: Side) -> str | tuple[str, str]:
    """The prompt, cut to what can matter where it is to be cut; refused where it cannot fit, before work is
    spent on it.
    """
    parts = (prompt,) if isinstance(prompt, str) else tuple(str(part) for part in prompt)
    if limit is not None:
        most = limit * _LONGEST_TOKEN
        parts = tuple(part[:most] if side == "right" else part[-most:] for part in parts)
    else:
        at_least = sum(map(len, parts)) // _LONGEST_TOKEN
        if at_least > info.max_model_len:
            message = context_message(info.max_model_len, 0, at_least, "at least ")
            raise PromptError("input_tokens", message)
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def _from_text(text: EncodedText, info: EngineInfo, limit: int | None, side: Side) -> PoolingInput:
    kept = list(range(len(text.ids)))
    if limit is not None and len(kept) > limit:
        kept = _cut(text.sources, len(kept) - limit, side)
    token_ids = [text.ids[index] for index in kept]
    segments = [text.segments[index] for index in kept]
    pairs = info.pooling is not None and info.pooling.pairs
    return PoolingInput(_checked(token_ids, info), segments.index(1) if pairs and 1 in segments else None)


def _cut(sources: list[int | None], excess: int, side: Side) -> list[int]:
    """Indices of the tokens that stay when `excess` are taken away, each from the text that is then the
    longer one (the second of two as long as each other).
    """
    texts = [[index for index, source in enumerate(sources) if source == number] for number in (0, 1)]
    for _ in range(excess):
        longer = texts[1] if len(texts[1]) >= len(texts[0]) else texts[0]
        if not longer:
            break  # nothing is left but what stands around the texts
        longer.pop(-1 if side == "right" else 0)
    stay = {*texts[0], *texts[1]}
    return [index for index, source in enumerate(sources) if source is None or index in stay]


def _from_ids(token_ids: list[int], info: EngineInfo, limit: int | None, side: Side) -> PoolingInput:
    if limit is not None and len(token_ids) > limit:
        token_ids = token_ids[:limit] if side == "right" else token_ids[-limit:]
    return PoolingInput(_checked(token_ids, info))


def _checked(token_ids: list[int], info: EngineInfo) -> list[int]:
    if not token_ids:
        raise PromptError("input", "The input must not be empty: it has no tokens.")
    if min(token_ids) < 0 or max(token_ids) >= info.vocab_size:
        wrong = next(token for token in token_ids if not 0 <= token < info.vocab_size)
        raise PromptError(
            "input",
            f"Token id {wrong} is out of vocabulary: this model has token ids 0 to {info.vocab_size - 1}.",
        )
    if len(token_ids) > info.max_model_len:
        raise PromptError("input_tokens", context_message(info.max_model_len, 0, len(token_ids)))
    return token_ids
