"""Chats for callers in this process, as the objects that HTTP clients get as events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from pagoda.api.body import describe
from pagoda.api.chat_pieces import ChatPiece, chunk_of
from pagoda.api.chat_run import ChatRun, prepare_chat
from pagoda.api.errors import bad_request
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.served_model import ServedModel
from pagoda.api.state import ServerState


class InProcessChats:
    """Runs chats on a server's models without HTTP. Reasoning is told apart from text wherever the model's
    template shows how, whatever the API's clients asked for on the command line.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def models(self) -> list[ServedModel]:
        """Every model that can be asked for, loaded or not."""
        return self._state.models.list()

    async def chat(
        self,
        body: dict[str, Any],
        *,
        user: str,
        priority: int,
        cache_salt: str,
        request_id: str,
        most_tokens: int | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Answers a chat request; gives chat.completion.chunk objects, each with the counts so far, the last
        with `metrics`. most_tokens: of the answer, whatever the body says. Raises ApiError. Closing it frees
        the chat in the engine.
        """
        fields = {"user": user, "priority": priority, "cache_salt": cache_salt, "request_id": request_id}
        try:
            request = ChatCompletionRequest.model_validate({**body, **fields, "stream": True})
        except ValidationError as error:
            message, param = describe(error)
            raise bad_request(message, param) from error
        run = await prepare_chat(self._state, {}, request, split_reasoning=True, most_tokens=most_tokens)
        try:
            async with aclosing(run.pieces()) as news:
                async for pieces in news:
                    for piece in pieces:
                        yield _chunk(run, piece)
            yield {**_head(run), "choices": [], **_counts(run), "metrics": run.account.response_metrics()}
        finally:
            run.close()


def _chunk(run: ChatRun, piece: ChatPiece) -> dict[str, Any]:
    return {**chunk_of(_head(run), piece), **_counts(run)}


def _head(run: ChatRun) -> dict[str, Any]:
    return {"id": run.id, "object": "chat.completion.chunk", "created": run.created, "model": run.model}


def _counts(run: ChatRun) -> dict[str, Any]:
    return {"usage": run.account.usage()}
