"""A small client of OpenAI-compatible servers, for the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pagoda.cli.errors import UsageError

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8000/v1"
_KEYS = ("OPENAI_API_KEY", "PAGODA_API_KEY", "VLLM_API_KEY")
_CONNECT_SECONDS = 10.0


def base_url(text: str) -> str:
    """The address that paths such as /chat/completions follow: `text`, with http:// and /v1 where it has no
    scheme and no path. Raises UsageError.
    """
    text = text if "://" in text else f"http://{text}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{text} is not the address of a server, such as {DEFAULT_URL}")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def find_key(given: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The API key: as given, else from OPENAI_API_KEY, PAGODA_API_KEY or VLLM_API_KEY (their first)."""
    found = given or next((environ[name] for name in _KEYS if environ.get(name)), "")
    return found.split(",")[0].strip() or None


class ApiClient:
    """Requests to one server. Whatever goes wrong is a UsageError with one line.

    transport: how requests reach it, where that is not the network.
    """

    def __init__(self, url: str, key: str | None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        import httpx

        self.url = base_url(url)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, transport=transport)

    async def first_model(self) -> str:
        """The name of the first model that the server has."""
        import httpx

        try:
            response = await self._http.get(f"{self.url}/models")
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code != 200:
            raise UsageError(_refusal(response))
        try:
            name: str = response.json()["data"][0]["id"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UsageError(f"{self.url} names no model; name one with --model-name") from error
        return name

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of a streamed answer."""
        import httpx

        request = self._http.stream("POST", f"{self.url}{path}", json={**body, "stream": True})
        try:
            async with request as response:
                if response.status_code != 200:
                    await response.aread()
                    raise UsageError(_refusal(response))
                async with aclosing(response.aiter_lines()) as lines:  # type: ignore[type-var]
                    async for line in lines:
                        if not line.startswith("data:"):
                            continue
                        data = line[5:].strip()
                        if data == "[DONE]":
                            return
                        yield _chunk(data)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        await self._http.aclose()

    def _unreachable(self, error: httpx.HTTPError) -> UsageError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return UsageError(
            f"{self.url} cannot be reached ({reason}); start a server with `pagoda serve MODEL`, or give its "
            "address with --url"
        )


def _chunk(data: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise UsageError(f"the server sent something else than JSON: {data[:80]}") from error
    if not isinstance(found, dict):
        raise UsageError(f"the server sent something else than a chunk: {data[:80]}")
    if found.get("error"):
        raise UsageError(f"the server failed: {_message(found)}")
    return found


def _refusal(response: httpx.Response) -> str:
    """What a server's refusal says."""
    try:
        message = _message(response.json())
    except ValueError:
        message = response.text[:200]
    hint = "; give a key with --api-key" if response.status_code in (401, 403) else ""
    return f"{response.url} answered {response.status_code}: {' '.join(message.split())}{hint}"


def _message(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        return str(error.get("message") or error.get("detail") or error)
    return str(error)
