"""Runs a batch: its requests go through the server's routes within this process, many at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagoda.cli.batch.lines import BatchRequest, LineError, answer_line, error_line, read_request
from pagoda.cli.batch.output import AnswerFile
from pagoda.cli.batch.source import requests_in
from pagoda.cli.errors import UsageError

if TYPE_CHECKING:
    import httpx

_UNAVAILABLE = 503
_HEADERS = {"Content-Type": "application/json"}


@dataclass(slots=True)
class BatchStats:
    """How far a batch is. already: answered by an earlier run. failed: among the answered of this run."""

    total: int
    already: int = 0
    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    seconds: float = 0.0

    def line(self) -> str:
        """The figures for people."""
        earlier = f" ({self.already} were answered before)" if self.already else ""
        errors = f", {self.failed} with an error" if self.failed else ""
        tokens = f", {self.prompt_tokens} prompt and {self.generation_tokens} answer tokens"
        return f"{self.answered} requests answered{earlier}{errors}{tokens} in {self.seconds:.1f} s"


async def run_requests(
    client: httpx.AsyncClient,
    requests: Path,
    output: AnswerFile,
    *,
    concurrency: int,
    on_progress: Callable[[BatchStats], None],
) -> BatchStats:
    """Answers every request that has no answer yet, at most `concurrency` at a time.

    Raises UsageError when the server can answer no more; what was answered stays answered.
    """
    stats = BatchStats(total=sum(1 for _ in requests_in(requests)))
    started = time.monotonic()
    work = _unanswered(requests, output, stats)
    on_progress(stats)

    async def worker() -> None:
        # The lines are read as they are needed: a file may be larger than the memory.
        for request in work:
            if isinstance(request, LineError):
                output.add(error_line(request))
                stats.failed += 1
            else:
                await _answer(client, request, output, stats)
            stats.answered += 1
            stats.seconds = time.monotonic() - started
            on_progress(stats)

    workers = [asyncio.create_task(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    stats.seconds = time.monotonic() - started
    return stats


def _unanswered(requests: Path, output: AnswerFile, stats: BatchStats) -> Iterator[BatchRequest | LineError]:
    lines: dict[str, int] = {}
    for number, line in requests_in(requests):
        try:
            request = read_request(number, line)
        except LineError as error:
            yield error
            continue
        first = lines.setdefault(request.custom_id, number)
        if first != number:
            message = f"Line {number}: the custom_id {request.custom_id!r} is that of line {first}."
            yield LineError("duplicate_custom_id", message, request.custom_id)
        elif request.custom_id in output.answered:
            stats.already += 1
        else:
            yield request


async def _answer(
    client: httpx.AsyncClient, request: BatchRequest, output: AnswerFile, stats: BatchStats
) -> None:
    response = await client.post(request.url, content=request.body, headers=_HEADERS)
    body = _body(response)
    if response.status_code == _UNAVAILABLE:
        message = body.get("error", {}).get("message") if isinstance(body, dict) else None
        raise UsageError(
            f"the model answers no more ({message or 'status 503'}); run the batch again to go on"
        )
    request_id = response.headers.get("x-request-id") or (body.get("id") if isinstance(body, dict) else None)
    output.add(answer_line(request.custom_id, response.status_code, str(request_id or ""), body))
    stats.failed += response.status_code >= 400
    usage = body.get("usage") if isinstance(body, dict) else None
    if isinstance(usage, dict):
        stats.prompt_tokens += _count(usage, "prompt_tokens", "input_tokens")
        stats.generation_tokens += _count(usage, "completion_tokens", "output_tokens")


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return {"error": {"message": response.text[:500], "type": "InternalServerError"}}


def _count(usage: dict[str, Any], *names: str) -> int:
    return next((usage[name] for name in names if isinstance(usage.get(name), int)), 0)
