"""The responses of one server: made, kept, gone on from, cancelled."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagoda.api.chat_run import ChatRun
from pagoda.api.errors import ApiError, bad_request
from pagoda.api.fitted_chat import TOO_LONG, count_prompt, prepare_fitted_chat
from pagoda.api.hooked_chat import hooked
from pagoda.api.named_events import named_event
from pagoda.api.other_apis import renamed
from pagoda.api.protocol.responses import ResponsesRequest
from pagoda.api.responses_api.background import BackgroundResponse
from pagoda.api.responses_api.convert import PARAMS, SEALED, chat_request, check_request, wants_logprobs
from pagoda.api.responses_api.ids import new_id
from pagoda.api.responses_api.items import Item, input_items, missing_item, references
from pagoda.api.responses_api.maker import ResponseMaker
from pagoda.api.responses_api.output import OutputBuilder
from pagoda.api.responses_api.response import ResponseState, response_head
from pagoda.api.responses_api.store import (
    RUNNING,
    MissingResponseError,
    ResponseStore,
    StoredResponse,
    StoreError,
)
from pagoda.api.responses_api.tools import Tools, read_tools
from pagoda.api.state import ServerState

MAX_BACKGROUND = 256  #: responses in the background at a time
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PreparedResponse:
    """A validated response on its way. Read its maker's events, then `close` it, whatever happened."""

    request: ResponsesRequest
    maker: ResponseMaker
    input: list[Item]
    stored: bool

    def close(self) -> None:
        self.maker.run.close()


class ResponsesService:
    """folder: where responses are kept; None keeps them in memory."""

    def __init__(self, state: ServerState, folder: Path | None) -> None:
        self.store = ResponseStore(folder)
        self._state = state
        self._background: dict[str, BackgroundResponse] = {}

    async def prepare(self, headers: Mapping[str, str], request: ResponsesRequest) -> PreparedResponse:
        """Raises ApiError."""
        check_request(request)
        if request.background and len(self._background) >= MAX_BACKGROUND:
            message = (
                f"{MAX_BACKGROUND} responses are in the background already; try again when one has ended."
            )
            raise ApiError(429, message, headers={"Retry-After": "5"})
        tools = read_tools(request.tools, request.tool_choice)
        history = await self._history(request.previous_response_id)
        given = await self._input(request, history)
        run = await self._fitting_chat(headers, request, [*history, *given], tools)
        state = ResponseState(response_head(new_id("resp"), run, request, tools))
        builder = OutputBuilder(
            custom=tools.custom,
            namespaces=tools.namespaces,
            logprobs=wants_logprobs(request),
            sealed=SEALED in (request.include or ()),
            summary=bool(request.reasoning and request.reasoning.summary),
        )
        stored = request.store is not False
        prepared: PreparedResponse

        async def keep(last: list[bytes]) -> bool:
            return await self._keep_end(prepared, last)

        prepared = PreparedResponse(request, ResponseMaker(run, state, builder, keep), given, stored)
        return prepared

    async def count(self, request: ResponsesRequest) -> int:
        """Tokens of the prompt that a response would be made from. Raises ApiError."""
        check_request(request)
        history = await self._history(request.previous_response_id)
        items = [*history, *await self._input(request, history)]
        chat = chat_request(request, items, read_tools(request.tools, request.tool_choice))
        try:
            return await count_prompt(self._state, chat)
        except ApiError as error:
            raise renamed(error, PARAMS) from error

    async def whole(self, prepared: PreparedResponse) -> dict[str, Any]:
        """The response when it has ended. Raises ApiError where it failed."""
        async with aclosing(prepared.maker.events()) as events:
            async for _ in events:
                pass
        if prepared.maker.failure is not None:
            raise prepared.maker.failure
        return prepared.maker.state.shown()

    async def stream(self, prepared: PreparedResponse) -> AsyncGenerator[bytes, None]:
        """Its events. Closed early, the response is kept as cancelled, or failed where the server stops."""
        maker = prepared.maker
        try:
            await self._keep_begin(prepared)
        except StoreError as error:
            self._not_stored(prepared, error)
        try:
            async with aclosing(maker.events()) as events:
                async for told in events:
                    yield b"".join(told)
        finally:
            if not maker.state.ended and not self._state.draining.is_set():
                maker.give_up(None)
                self._keep_soon(prepared)

    def failed_stream(self, prepared: PreparedResponse, error: ApiError) -> bytes:
        """The last events of a stream that the server ends."""
        if prepared.maker.state.ended:
            return stream_error(error)
        events = prepared.maker.give_up(error)
        self._keep_soon(prepared)
        return b"".join(events)

    async def begin(self, prepared: PreparedResponse) -> BackgroundResponse:
        """Makes a response in the background, from now on. Raises ApiError."""
        maker = prepared.maker
        maker.state.status = "queued"
        try:
            await self._keep_begin(prepared)
        except StoreError as error:
            raise _unusable(error) from error

        def close() -> None:
            prepared.close()
            self._background.pop(maker.state.id, None)

        async def keep() -> None:
            await self._keep_end(prepared, [])

        made = BackgroundResponse(maker, self._state.draining, keep, close)
        self._background[maker.state.id] = made
        return made

    async def get(self, response_id: str) -> dict[str, Any]:
        """Raises ApiError 404."""
        running = self._background.get(response_id)
        return running.maker.state.shown() if running else (await self.stored(response_id)).response

    async def stored(self, response_id: str) -> StoredResponse:
        """As it was last kept. Raises ApiError 404."""
        try:
            return await self.store.get(response_id)
        except MissingResponseError as error:
            raise _missing(error.response_id, "response_id") from error
        except StoreError as error:
            raise _unusable(error) from error

    async def follow(self, response_id: str, start: int) -> AsyncGenerator[bytes, None]:
        """Events of a response that was begun with background and stream. Raises ApiError 404 and 400."""
        running = self._background.get(response_id)
        if running is not None:
            return running.follow(start)
        events = (await self.stored(response_id)).events
        if events is None:
            raise bad_request(
                "Only a response that was made with background and stream can be streamed again.", "stream"
            )
        return _replayed(events[start:])

    async def cancel(self, response_id: str) -> dict[str, Any]:
        """Raises ApiError 404, and 400 for a response that is not in the background."""
        running = self._background.get(response_id)
        if running is not None:
            await running.cancel()
            return running.maker.state.shown()
        response = (await self.stored(response_id)).response
        if not response["background"]:
            raise bad_request("Cannot cancel a synchronous response.", "response_id")
        return response

    async def delete(self, response_id: str) -> None:
        """Raises ApiError 404."""
        running = self._background.get(response_id)
        if running is not None:
            await running.cancel()
        try:
            await self.store.delete(response_id)
        except MissingResponseError as error:
            raise _missing(error.response_id, "response_id") from error
        except StoreError as error:
            raise _unusable(error) from error

    async def _history(self, previous: str | None) -> list[Item]:
        """All items of the conversation that goes on."""
        if not previous:
            return []
        try:
            chain = await self.store.chain(previous)
        except MissingResponseError as error:
            raise _missing(error.response_id, "previous_response_id") from error
        except StoreError as error:
            raise _unusable(error) from error
        if chain[-1].response["status"] in RUNNING:
            raise bad_request(
                f"The response '{previous}' has not ended; go on from it when it has.", "previous_response_id"
            )
        return [item for stored in chain for item in (*stored.input, *stored.response["output"])]

    async def _input(self, request: ResponsesRequest, history: list[Item]) -> list[Item]:
        known = {item["id"]: item for item in history if "id" in item}
        if missing := [item_id for item_id in references(request.input) if item_id not in known]:
            try:
                known.update(await self.store.items(missing))
            except StoreError as error:
                raise _unusable(error) from error

        def find(item_id: str) -> Item:
            if item_id not in known:
                raise missing_item(item_id)
            return known[item_id]

        return input_items(request.input if request.input is not None else [], find)

    async def _fitting_chat(
        self, headers: Mapping[str, str], request: ResponsesRequest, items: list[Item], tools: Tools
    ) -> ChatRun:
        """The chat; with truncation "auto" without as many of its oldest turns as do not fit."""
        try:
            return await self._chat(headers, request, items, tools)
        except ApiError as error:
            if request.truncation != "auto" or error.param not in TOO_LONG:
                raise renamed(error, PARAMS) from error
            failure = error
        starts = [place for place, item in enumerate(items) if item.get("role") == "user"]
        head = [item for item in items[: starts[0]] if item["type"] == "message"] if starts else []
        few, many, found = 1, len(starts) - 1, None
        while few <= many:  # fewer turns left out always make a longer prompt
            middle = (few + many) // 2
            try:
                run = await self._chat(headers, request, [*head, *items[starts[middle] :]], tools)
            except ApiError as error:
                if error.param not in TOO_LONG:
                    raise renamed(error, PARAMS) from error
                few = middle + 1
                continue
            if found is not None:
                found.lease.release()
            found, many = run, middle - 1
        if found is None:
            raise renamed(failure, PARAMS)
        return found

    async def _chat(
        self, headers: Mapping[str, str], request: ResponsesRequest, items: list[Item], tools: Tools
    ) -> ChatRun:
        asked = chat_request(request, items, tools)
        part = await hooked(self._state, headers, asked)
        run, _ = await prepare_fitted_chat(self._state, headers, asked if part is None else part.here())
        if part is not None:
            part.attach(run, whole=not request.stream)
        return run

    async def _keep_begin(self, prepared: PreparedResponse) -> None:
        if prepared.stored:
            await self.store.put(self._record(prepared, []))

    async def _keep_end(self, prepared: PreparedResponse, last: list[bytes]) -> bool:
        """Keeps a response that has ended with these events; False where that failed."""
        if prepared.stored:
            try:
                await self.store.put(self._record(prepared, last))
            except StoreError as error:
                self._not_stored(prepared, error)
                return False
        return True

    def _not_stored(self, prepared: PreparedResponse, error: StoreError) -> None:
        """An answer is worth more than its place in the store: the client gets it as one that is not kept."""
        _log.error("%s", error)
        prepared.stored = prepared.maker.state.head["store"] = False

    def _keep_soon(self, prepared: PreparedResponse) -> None:
        if prepared.stored:
            self.store.put_soon(self._record(prepared, [])).add_done_callback(_tell_failure)

    def _record(self, prepared: PreparedResponse, last: list[bytes]) -> StoredResponse:
        running = self._background.get(prepared.maker.state.id)
        events = [*running.log, *last] if running is not None and prepared.request.stream else None
        return StoredResponse(prepared.maker.state.shown(), prepared.input, events)


def _tell_failure(kept: Future[None]) -> None:
    if (error := kept.exception()) is not None:
        _log.error("%s", error)


def stream_error(error: ApiError) -> bytes:
    """How a stream ends that only reads a response, or has read it all."""
    told = {"code": "server_error", "message": error.message, "param": error.param}
    return named_event({"type": "error", **told})


async def _replayed(events: list[bytes]) -> AsyncGenerator[bytes, None]:
    yield b"".join(events)


def _missing(response_id: str, param: str) -> ApiError:
    return ApiError(404, f"Response with id '{response_id:.128}' not found.", param=param)


def _unusable(error: StoreError) -> ApiError:
    line = str(error)
    return ApiError(500, f"{line[:1].upper()}{line[1:]}; with store set to false it is not needed.")
