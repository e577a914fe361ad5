"""Any server that speaks OpenAI's chat protocol, by its address and a key.

Whatever it does wrong costs one request one sentence: it may hang, answer a web page, break off or send
nonsense. httpx is imported when the first one is called.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pagoda.workspace.providers.base import Caller, ProviderError, ProviderModel
from pagoda.workspace.providers.chunks import clean_chunk, error_in
from pagoda.workspace.providers.guard import Guard, Resolve
from pagoda.workspace.providers.think_tags import ThinkTags

if TYPE_CHECKING:
    import httpx

MOST_MODELS = 2000  #: of one server
_MOST_LINE = 4 << 20  #: bytes of one event
_MOST_BODY = 16 << 20  #: bytes of a list of models
_MOST_ANSWER = 64 << 20  #: bytes of one answer, with all that is around its text
_MOST_ERROR = 64 << 10
_DONE: dict[str, Any] = {}  #: the end of a stream as servers tell it
_LOCAL_FIELDS = ("continue_final_message", "add_generation_prompt", "priority", "cache_salt", "request_id")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. connect: until a server takes the call. silent: between two pieces of an answer, and before
    the first, which is when a large prompt is read. listing: for its list of models.
    """

    connect: float = 10.0
    silent: float = 600.0
    listing: float = 15.0


class OpenAIProvider:
    """base_url: with /v1 where the server has it. key: sent as a bearer token, or None. resolve: from a name
    to addresses; None for the system's way.
    """

    def __init__(
        self,
        provider_id: str,
        base_url: str,
        key: str | None,
        guard: Guard,
        *,
        patience: Patience | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._id = provider_id
        self._url = base_url
        self._key = key
        self._guard = guard
        self._patience = patience or Patience()
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None

    @property
    def id(self) -> str:
        return self._id

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def list_models(self) -> list[ProviderModel]:
        patience = replace(self._patience, silent=self._patience.listing)
        until = time.monotonic() + self._patience.listing
        async with self._call("GET", "/models", None, patience) as response:
            text = bytearray()
            async for piece in response.aiter_bytes():
                text += piece
                if len(text) > _MOST_BODY or time.monotonic() > until:
                    raise ProviderError("The server's list of models does not end.", 502, "bad_answer")
            found = _json(bytes(text), response)
        data = found.get("data") if isinstance(found, dict) else found
        if not isinstance(data, list):
            raise ProviderError(
                "The server answered without a list of models; does its address end in /v1?",
                502,
                "bad_answer",
            )
        return [model for entry in data[:MOST_MODELS] if (model := _model(entry)) is not None]

    async def chat(self, body: dict[str, Any], caller: Caller) -> AsyncGenerator[dict[str, Any], None]:
        asked = {name: value for name, value in body.items() if name not in _LOCAL_FIELDS}
        if caller.most_tokens is not None:
            asked = _capped(asked, caller.most_tokens)
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        began = False
        try:
            async with aclosing(self._chat(asked, caller.think_tags)) as chunks:
                async for chunk in chunks:
                    began = True
                    yield chunk
        except ProviderError as error:
            if began or error.status != 400 or "stream_options" not in str(error):
                raise
        else:
            return
        del asked["stream_options"]  # a server that does not know it: then nobody counts
        async with aclosing(self._chat(asked, caller.think_tags)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _chat(self, body: dict[str, Any], think_tags: bool) -> AsyncGenerator[dict[str, Any], None]:
        tags = ThinkTags() if think_tags else None
        finished = False
        async with (
            self._call("POST", "/chat/completions", body, self._patience) as response,
            aclosing(_objects(response)) as objects,
        ):
            async for found in objects:
                if found is _DONE:
                    finished = True
                    continue
                if (message := error_in(found)) is not None and not found.get("choices"):
                    raise ProviderError(f"The server failed on this answer: {message}", 502, "failed")
                chunk = clean_chunk(found)
                for choice in chunk["choices"]:
                    ended = choice["finish_reason"] is not None
                    finished = finished or ended
                    tags = _split(tags, choice["delta"], ended=ended)
                yield chunk
        if tags is not None and any(held := tags.finish()):
            delta = {"reasoning_content": held[0], "content": held[1]}
            yield {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        if not finished:
            raise ProviderError("The server broke off in the middle of its answer.", 502, "unreachable")

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None, patience: Patience
    ) -> AsyncIterator[httpx.Response]:
        """A response of status 200. Whatever goes wrong meanwhile becomes a ProviderError."""
        import httpx

        try:
            target = await self._guard.target(self._url, self._resolve)
            headers = {"Host": target.authority, "Accept": "text/event-stream, application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            timeout = httpx.Timeout(patience.silent, connect=patience.connect)
            async with self._http().stream(
                method,
                target.base + path,
                json=body,
                headers=headers,
                timeout=timeout,
                extensions={"sni_hostname": target.name},
            ) as response:
                await _check(response)
                yield response
        except httpx.ConnectTimeout as error:
            raise ProviderError(f"{self._host} does not answer.", 504, "unreachable") from error
        except httpx.TimeoutException as error:
            raise ProviderError(
                f"{self._host} has said nothing for {patience.silent:g} seconds.", 504, "unreachable"
            ) from error
        except httpx.ConnectError as error:
            raise ProviderError(f"{self._host} cannot be reached ({error}).", 502, "unreachable") from error
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise ProviderError(
                f"{self._host} broke off in the middle of its answer.", 502, "unreachable"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ProviderError(
                f"{self._host} gave an answer that cannot be read ({error}).", 502, "bad_answer"
            ) from error
        except UnicodeEncodeError as error:
            raise ProviderError("The key holds characters that no key has.", 400, "refused") from error

    @property
    def _host(self) -> str:
        return self._url.partition("://")[2].partition("/")[0] or self._url

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            # No redirects, which would lead around the guard, and no proxies of the environment, which would
            # resolve the name once more.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=30.0)
            self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, limits=limits)
        return self._client


async def _check(response: httpx.Response) -> None:
    """Raises ProviderError for anything but an answer."""
    if response.status_code == 200:
        return
    status = response.status_code
    if 300 <= status < 400:
        raise ProviderError(
            f"The server points to {response.headers.get('location', 'another address')[:200]}; "
            "redirects are not followed, so enter that address.",
            502,
            "refused",
        )
    text = bytearray()
    async for piece in response.aiter_bytes():
        text += piece
        if len(text) > _MOST_ERROR:
            break
    try:
        message = error_in(json.loads(bytes(text)))
    except ValueError:
        message = None
    said = f": {message}" if message else ""
    if status in (401, 403):
        raise ProviderError(
            f"The server does not accept the key (HTTP {status}){said}", status, "refused", code="key_refused"
        )
    if status == 429 or status == 503:
        raise ProviderError(f"The server is busy (HTTP {status}){said}", status, "overloaded")
    if message and "context" in message and "length" in message:
        raise ProviderError(message, 400, "too_long")
    raise ProviderError(
        f"The server answered HTTP {status}{said}", status, "refused" if status < 500 else "failed"
    )


async def _objects(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of a stream of events, or the one of a server that does not stream."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_whole = kind == "application/json"
    held, size = b"", 0
    async for piece in response.aiter_bytes():
        held += piece
        size += len(piece)
        if len(held) > _MOST_LINE or size > _MOST_ANSWER:
            raise ProviderError("The server's answer does not end.", 502, "bad_answer")
        if is_whole:
            continue
        *lines, held = held.split(b"\n")
        for line in lines:
            data = _data(line, response)
            if data == b"[DONE]":
                yield _DONE
                return
            if data:
                yield _object(data, response)
    if is_whole:
        yield _object(held, response)
    elif (data := _data(held, response)) == b"[DONE]":
        yield _DONE
    elif data:
        yield _object(data, response)


def _data(line: bytes, response: httpx.Response) -> bytes:
    """What an event holds; nothing for comments and other fields."""
    line = line.strip()
    if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
        return b""
    if not line.startswith(b"data:"):
        raise _nonsense(response)
    return line[5:].strip()


def _object(data: bytes, response: httpx.Response) -> dict[str, Any]:
    found = _json(data, response)
    if not isinstance(found, dict):
        raise _nonsense(response)
    return found


def _json(data: bytes, response: httpx.Response) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _nonsense(response) from error


def _nonsense(response: httpx.Response) -> ProviderError:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()[:60]
    if kind == "text/html":
        return ProviderError(
            "The server answered with a web page; is its address right? It often ends in /v1.",
            502,
            "bad_answer",
        )
    return ProviderError(f"The server sent what is no answer ({kind or 'of no kind'}).", 502, "bad_answer")


def _split(tags: ThinkTags | None, delta: dict[str, Any], *, ended: bool) -> ThinkTags | None:
    """Moves tagged reasoning out of a delta's text. None once the server tells reasoning by itself."""
    if tags is None or "reasoning_content" in delta:
        if tags is not None and any(held := tags.finish()):
            delta["content"] = held[1] + delta.get("content", "")
        return None
    reasoning, text = tags.feed(delta.pop("content", ""))
    if ended:
        more = tags.finish()
        reasoning, text = reasoning + more[0], text + more[1]
    if reasoning:
        delta["reasoning_content"] = reasoning
    if text:
        delta["content"] = text
    return tags


def _capped(body: dict[str, Any], most: int) -> dict[str, Any]:
    """With a limit to the answer's tokens under the names that the request uses, if any."""
    names = [name for name in ("max_tokens", "max_completion_tokens") if isinstance(body.get(name), int)]
    return {**body, **{name: min(body.get(name, most), most) for name in names or ("max_tokens",)}}


def _model(entry: Any) -> ProviderModel | None:
    """A model of a list; None for an entry without a name."""
    name = entry.get("id") if isinstance(entry, dict) else entry
    if not isinstance(name, str) or not name or len(name) > 300 or not name.isprintable():
        return None
    fields = entry if isinstance(entry, dict) else {}
    context = next(
        (
            fields[each]
            for each in ("max_model_len", "context_length", "context_window")
            if type(fields.get(each)) is int and fields[each] > 0
        ),
        None,
    )
    return ProviderModel(name, name, context)
