"""Log-probabilities in the shapes of the two completion APIs and of vLLM's prompt_logprobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.engine.outputs import Logprob
from pagoda.text.tokenizer import Tokenizer

LOWEST = -9999.0  #: stands for minus infinity, which JSON cannot write

Position = Mapping[int, Logprob]


class LogprobFormatter:
    """Writes the positions of one request. `top`: how many alternatives; as_ids: tokens as "token_id:ID";
    listed: tokens that are reported wherever they rank.
    """

    def __init__(
        self, tokenizer: Tokenizer, top: int, *, as_ids: bool = False, listed: Sequence[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._top = top
        self._as_ids = as_ids
        self._listed = frozenset(listed)

    def chat(self, token_ids: Sequence[int], positions: Sequence[Position]) -> dict[str, Any]:
        """`logprobs` of a chat choice. `bytes` are the token's own, also where it is a part of a
        character.
        """
        content = []
        for token_id, position in zip(token_ids, positions, strict=True):
            ranked = sorted(position.items(), key=lambda item: item[1].rank or 0)
            ranked = [*ranked[: self._top], *self._beyond(ranked)]
            entry = self._chat_entry(token_id, position[token_id])
            entry["top_logprobs"] = [self._chat_entry(other, found) for other, found in ranked]
            content.append(entry)
        return {"content": content, "refusal": None}

    def completion(
        self, token_ids: Sequence[int], positions: Sequence[Position | None], offset: int = 0
    ) -> dict[str, Any]:
        """`logprobs` of a text choice; a position is None where nothing came before. Offsets count from
        `offset`.
        """
        offsets: list[int] = []
        tokens: list[str] = []
        chosen: list[float | None] = []
        top: list[dict[str, float] | None] = []
        for token_id, position in zip(token_ids, positions, strict=True):
            offsets.append(offset)
            tokens.append(self._name(token_id))
            offset += len(self._tokenizer.token_text(token_id))
            if position is None:
                chosen.append(None)
                top.append(None)
                continue
            chosen.append(_finite(position[token_id].logprob))
            others = [other for other in position if other != token_id]
            others.sort(key=lambda other: position[other].rank or 0)
            named: dict[str, float] = {}
            for index in [
                token_id,
                *others[: self._top],
                *[other for other in others[self._top :] if other in self._listed],
            ]:  # of tokens that are spelled alike the likeliest counts: clients compare with the greatest
                name, logprob = self._name(index), _finite(position[index].logprob)
                named[name] = max(named.get(name, LOWEST), logprob)
            top.append(named)
        return {"text_offset": offsets, "token_logprobs": chosen, "tokens": tokens, "top_logprobs": top}

    def _beyond(self, ranked: Sequence[tuple[int, Logprob]]) -> list[tuple[int, Logprob]]:
        """The listed tokens that are not among the top ones."""
        return [item for item in ranked[self._top :] if item[0] in self._listed] if self._listed else []

    def _chat_entry(self, token_id: int, found: Logprob) -> dict[str, Any]:
        spelled = self._tokenizer.token_bytes(token_id)
        return {"token": self._name(token_id), "logprob": _finite(found.logprob), "bytes": list(spelled)}

    def _name(self, token_id: int) -> str:
        return f"token_id:{token_id}" if self._as_ids else self._tokenizer.token_text(token_id)


def prompt_logprobs(positions: Sequence[Position | None] | None) -> list[dict[str, Any] | None] | None:
    """vLLM's `prompt_logprobs`: for each token of the prompt a mapping from token id, None for the first."""
    if positions is None:
        return None
    return [None if position is None else _prompt_position(position) for position in positions]


def _prompt_position(position: Position) -> dict[str, Any]:
    return {
        str(index): {
            "logprob": _finite(found.logprob),
            "rank": found.rank,
            "decoded_token": found.decoded_token,
        }
        for index, found in position.items()
    }


def _finite(logprob: float) -> float:
    return max(logprob, LOWEST)
