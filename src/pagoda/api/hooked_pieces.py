"""News of a chat as a hook leaves them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from pagoda.api.chat_pieces import ChatPiece, chunk_of
from pagoda.api.hooks import ChatHook


async def passed(
    news: AsyncGenerator[list[ChatPiece], None], hook: ChatHook, head: Mapping[str, Any], *, whole: bool
) -> AsyncGenerator[list[ChatPiece], None]:
    """The pieces with the text that the hook makes of theirs. whole: they come all at once at the end, with
    what it makes of the whole text; otherwise each passes it, and the whole is shown to it alone.
    """
    async with aclosing(news):
        if whole:
            yield await _changed_at_the_end(news, hook)
            return
        texts: dict[int, str] = {}
        async for pieces in news:
            found = [await _piece(piece, hook, head) for piece in pieces]
            for piece in found:
                texts[piece.index] = texts.get(piece.index, "") + piece.delta.content
            yield found
        await hook.end([texts[index] for index in sorted(texts)])


async def _changed_at_the_end(news: AsyncGenerator[list[ChatPiece], None], hook: ChatHook) -> list[ChatPiece]:
    found = [piece async for pieces in news for piece in pieces]
    places: dict[int, list[int]] = {}
    for place, piece in enumerate(found):
        places.setdefault(piece.index, []).append(place)
    indices = sorted(places)
    before = ["".join(found[place].delta.content for place in places[index]) for index in indices]
    for index, old, new in zip(indices, before, await hook.end(before), strict=True):
        if not new or new == old:
            continue
        for place in places[index]:
            delta = found[place].delta
            is_last = place == places[index][-1]
            found[place] = replace(found[place], delta=replace(delta, content=new if is_last else ""))
    return found


async def _piece(piece: ChatPiece, hook: ChatHook, head: Mapping[str, Any]) -> ChatPiece:
    """A chunk that the hook drops says nothing; that an answer ends stays."""
    chunk = await hook.chunk(chunk_of(head, piece))
    choices = (chunk or {}).get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    reasoning = delta.get("reasoning_content")
    changed = replace(
        piece.delta,
        content=_text(delta.get("content")),
        reasoning=_text(reasoning if reasoning is not None else delta.get("reasoning")),
        tool_calls=piece.delta.tool_calls if chunk is not None else [],
    )
    return replace(piece, delta=changed)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
