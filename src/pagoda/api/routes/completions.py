"""/v1/completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.body import read_body
from pagoda.api.chunks import ChunkEncoder
from pagoda.api.completion_run import CompletionRun, prepare_completion
from pagoda.api.openapi import documented
from pagoda.api.protocol.completions import Completion, CompletionRequest
from pagoda.api.responses import FINGERPRINT, shows_usage, whole_response
from pagoda.api.settings import ServerSettings
from pagoda.api.sse import DONE, EventStream
from pagoda.api.state import state_of
from pagoda.engine.outputs import CompletionOutput, RequestOutput

router = APIRouter(tags=["completions"])


@router.post("/v1/completions", summary="Continue a text", **documented(CompletionRequest, Completion))
async def create_completion(http: Request) -> Response:
    """Compatible with OpenAI's completions and vLLM's further fields; several prompts may come at once."""
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, CompletionRequest, state.settings.max_body_bytes)
    run = await prepare_completion(state, http.headers, request)
    if request.stream:
        return EventStream(_Events(run, state.settings), state, on_close=run.close)
    return await whole_response(http, state, _whole(run), run.close)


async def _whole(run: CompletionRun) -> dict[str, Any]:
    choices = await run.whole()
    return {
        "id": run.id,
        "object": "text_completion",
        "created": run.created,
        "model": run.model,
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": run.account.usage(),
        "kv_transfer_params": None,
        "metrics": run.account.response_metrics(),
    }


class _Events:
    """An `EventSource` of the answers to all prompts."""

    def __init__(self, run: CompletionRun, settings: ServerSettings) -> None:
        self._run = run
        self._encoder = ChunkEncoder("text", run.id, run.created, run.model, FINGERPRINT)
        self._include_usage, self._continuous = shows_usage(run.request, settings)
        self._running = len(run.prompts)
        self.finished = False

    def start(self, on_news: Callable[[], None]) -> None:
        self._run.outputs.start(on_news)

    def listen(self, on_news: Callable[[], None]) -> None:
        self._run.outputs.listen(on_news)

    def take(self) -> bytes:
        run, parts = self._run, []
        for number, output in run.outputs.take():
            run.note(number, output)
            for answer in output.outputs:
                parts.append(_chunk(run, self._encoder, number, output, answer, self._continuous))
            if output.finished:
                self._running -= 1
                if not self._running:
                    parts.append(self._last())
                    self.finished = True
        return b"".join(parts)

    def close(self) -> None:
        self._run.outputs.close()

    def _last(self) -> bytes:
        if not self._include_usage:
            return DONE
        account = self._run.account
        return self._encoder.usage(account.usage(), account.response_metrics()) + DONE


def _chunk(
    run: CompletionRun,
    encoder: ChunkEncoder,
    number: int,
    output: RequestOutput,
    answer: CompletionOutput,
    continuous: bool,
) -> bytes:
    """What is new of an answer; nothing while its text is held back and nothing else is asked for."""
    prompt, with_ids = run.prompts[number], run.request.return_token_ids
    first = answer.index not in prompt.sent
    text = prompt.text + answer.text if first else answer.text
    index = number * run.params.n + answer.index
    logprobs = run.logprobs(prompt, output, answer, first=first)
    prompt.sent[answer.index] = prompt.sent.get(answer.index, 0) + len(text)
    if answer.finish_reason is None and logprobs is None and not with_ids and not continuous:
        return encoder.text(index, text) if text else b""
    return encoder.full(
        index,
        text,
        logprobs=logprobs,
        finish_reason=answer.finish_reason,
        stop_reason=answer.stop_reason,
        token_ids=answer.token_ids if with_ids else None,
        prompt_token_ids=prompt.token_ids if with_ids and first else None,
        usage=run.account.usage() if continuous else None,
    )
