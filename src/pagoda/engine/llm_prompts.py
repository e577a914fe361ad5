"""What a script may give as prompts: texts, token ids, and mappings with either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypeAlias, TypedDict

from pagoda.engine.validation import PromptError
from pagoda.text.tokenizer import Tokenizer


class TextPrompt(TypedDict):
    """A prompt as text."""

    prompt: str
    cache_salt: NotRequired[str]


class TokensPrompt(TypedDict):
    """A prompt as token ids; `prompt` may say what text they are."""

    prompt_token_ids: list[int]
    prompt: NotRequired[str]
    cache_salt: NotRequired[str]


Prompt: TypeAlias = str | Sequence[int] | TextPrompt | TokensPrompt | Mapping[str, Any]


def as_prompts(prompts: Prompt | Sequence[Prompt]) -> list[Prompt]:
    """A list of prompts, of one or of several."""
    if isinstance(prompts, str | Mapping):
        return [prompts]
    if prompts and all(isinstance(token, int) for token in prompts):
        return [prompts]  # type: ignore[list-item]
    return list(prompts)  # type: ignore[arg-type]


def read_prompt(
    prompt: Prompt, tokenizer: Tokenizer | None, tokenization: Mapping[str, Any] | None = None
) -> tuple[str | None, list[int]]:
    """The text of a prompt, where there is one, and its token ids. Raises PromptError.

    tokenization: add_special_tokens, and truncation with max_length, as tokenizers of Transformers take them.
    """
    options = dict(tokenization or {})
    text, token_ids = _parts(prompt)
    if token_ids is None:
        if tokenizer is None:
            raise PromptError(
                "prompt",
                "skip_tokenizer_init=True needs prompts as token ids: {'prompt_token_ids': [...]}.",
            )
        add_special_tokens = bool(options.pop("add_special_tokens", True))
        try:
            token_ids = tokenizer.encode(text or "", add_special_tokens=add_special_tokens)
        except ValueError as error:
            raise PromptError("prompt", str(error)) from error
    options.pop("add_special_tokens", None)
    limit = options.pop("max_length", None)
    if options.pop("truncation", False) and limit is not None:
        token_ids = token_ids[: int(limit)]
    if options:
        raise PromptError("tokenization_kwargs", f"tokenization_kwargs has unknown {next(iter(options))!r}.")
    return text, token_ids


def _parts(prompt: Prompt) -> tuple[str | None, list[int] | None]:
    """The text and the token ids of a prompt; one of them may be missing."""
    if isinstance(prompt, str):
        return prompt, None
    if isinstance(prompt, Mapping):
        text, token_ids = prompt.get("prompt"), prompt.get("prompt_token_ids")
        if not isinstance(text, str | None) or (text is None and token_ids is None):
            raise PromptError(
                "prompt", "A prompt needs a text under 'prompt' or token ids under 'prompt_token_ids'."
            )
        return text, None if token_ids is None else _ids(token_ids)
    return None, _ids(prompt)


def _ids(values: Any) -> list[int]:
    token_ids = list(values)
    if not all(isinstance(token, int) for token in token_ids):
        raise PromptError("prompt", "Token ids must be whole numbers.")
    return token_ids
