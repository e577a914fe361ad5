"""The one way to run a chat: every API that answers conversations prepares and reads its answers here."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from pagoda.api.accounting import Account
from pagoda.api.answer_plan import plan_answer
from pagoda.api.chat_pieces import ChatAnswer, ChatPiece, CollectedAnswer, joined
from pagoda.api.engine_errors import as_api_error, released_on_failure
from pagoda.api.errors import bad_request
from pagoda.api.generation import Outputs, start
from pagoda.api.guests import guest_of
from pagoda.api.hooked_pieces import passed
from pagoda.api.hooks import ChatHook
from pagoda.api.logprobs import LogprobFormatter, prompt_logprobs
from pagoda.api.model_pool import Lease
from pagoda.api.prompts import chat_prompt, check_bulk, encode_text
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.responses import response_id
from pagoda.api.sampling import Limits, cap_answer, chat_sampling, ranked
from pagoda.api.settings import ServerSettings
from pagoda.api.state import ServerState
from pagoda.api.structured import check_constraint, tell_old_spellings
from pagoda.api.unsupported import check_unsupported
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.messages import ReasoningTokens
from pagoda.engine.outputs import CompletionOutput, RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.text.parsing import AnswerParser, MessageDelta

__all__ = ["ChatAnswer", "ChatPiece", "ChatRun", "prepare_chat"]


@dataclass(slots=True)
class ChatRun:
    """A validated chat on its way. Read it once, by `pieces` or by `whole`; then `close` it, whatever
    happened.
    """

    id: str
    created: int
    model: str  #: the name in the response
    request: ChatCompletionRequest
    role: str  #: of the answers
    prompt_token_ids: list[int]
    prompt_text: str
    params: SamplingParams
    account: Account
    lease: Lease
    outputs: Outputs
    formatter: LogprobFormatter | None
    parsers: list[AnswerParser] | None = None  #: one for each answer; None: text is content
    prompt_logprobs: list[dict[str, Any] | None] | None = None  #: known when the chat has ended
    hook: ChatHook | None = None  #: what the pieces pass; readers of `take` see to that themselves
    is_whole: bool = False  #: the answer is given whole, so that a hook may change it at its end
    finished: bool = False  #: whether the pieces given last were the last of all
    _echo: str = ""  #: what every answer begins with
    _keep: int | None = None  #: of the answers the most probable ones are given; None: all
    _tool_finish: str = "tool_calls"  #: how an answer with calls ends
    _reasoning: ReasoningTokens | None = None
    _reasoning_tokens: int = 0
    _begun: set[int] = field(default_factory=set)
    _called: set[int] = field(default_factory=set)
    _reasoned: set[int] = field(default_factory=set)  #: answers whose reasoning has ended
    _tails: dict[int, list[int]] = field(default_factory=dict)  #: last tokens, where the mark is several
    _scores: dict[int, float] = field(default_factory=dict)
    _closed: bool = False

    async def pieces(self) -> AsyncGenerator[list[ChatPiece], None]:
        """All news that came together, until every answer has ended. Closing it frees the chat in the
        engine.

        Raises ApiError. Pieces may be empty: their text is held back, or only tokens came.
        """
        news = self._news()
        if self.hook is not None:
            news = passed(news, self.hook, self._head(), whole=self.is_whole)
        try:
            async with aclosing(news):
                async for pieces in news:
                    yield pieces
        except Exception as error:
            raise as_api_error(error) from error

    async def _news(self) -> AsyncGenerator[list[ChatPiece], None]:
        async with aclosing(self.outputs) as outputs:
            async for _, output in outputs:
                yield self._pieces(output)

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "created": self.created, "model": self.model}

    def take(self) -> list[ChatPiece]:
        """As `pieces`, for those who start and listen to `outputs` themselves: what is new, at once.

        Raises what the engine fails with.
        """
        pieces: list[ChatPiece] = []
        for _, output in self.outputs.take():  # of one prompt
            pieces += self._pieces(output)
        return pieces

    async def whole(self) -> list[ChatAnswer]:
        """The answers in order. Raises ApiError."""
        answers: dict[int, CollectedAnswer] = {}
        async with aclosing(self.pieces()) as news:
            async for pieces in news:
                for piece in pieces:
                    answers.setdefault(piece.index, CollectedAnswer()).add(piece)
        if self._keep is None:
            return [answers[index].answer(index) for index in sorted(answers)]
        best = sorted(answers, key=lambda index: (-self._scores.get(index, 0.0), index))[: self._keep]
        return [answers[index].answer(place) for place, index in enumerate(best)]

    def close(self, *, count: bool = True) -> None:
        """Frees the chat in the engine, enters it into /metrics (unless not to `count`) and gives its model
        back. May be called twice.
        """
        if self._closed:
            return
        self._closed = True
        self.outputs.close()
        if count:
            self.account.close()
        self.lease.release()

    def _pieces(self, output: RequestOutput) -> list[ChatPiece]:
        self.account.add(0, output)
        if output.prompt_logprobs is not None:
            self.prompt_logprobs = prompt_logprobs(output.prompt_logprobs)
        self.finished = output.finished
        if len(output.outputs) == 1:
            return [self._piece(output.outputs[0])]
        return [self._piece(answer) for answer in output.outputs]

    def _piece(self, answer: CompletionOutput) -> ChatPiece:
        index, reason, stop = answer.index, answer.finish_reason, answer.stop_reason
        if self.parsers is None:
            delta = MessageDelta(content=answer.text)
        else:
            delta = self._parsed(self.parsers[index], answer)
            if reason == "stop" and index in self._called:
                reason = self._tool_finish
        if self._echo and index not in self._begun:
            self._begun.add(index)
            delta.content = self._echo + delta.content
        if answer.cumulative_logprob is not None:
            self._scores[index] = answer.cumulative_logprob
        logprobs = None
        if self.formatter is not None and answer.logprobs is not None:
            logprobs = self.formatter.chat(answer.token_ids, answer.logprobs)
        return ChatPiece(index, delta, logprobs, answer.token_ids, reason, stop)

    def _parsed(self, parser: AnswerParser, answer: CompletionOutput) -> MessageDelta:
        delta = parser.push(answer.text)
        if answer.finish_reason is not None:
            delta = joined(delta, parser.finish())
        if delta.tool_calls:
            self._called.add(answer.index)
        if self._reasoning is not None and answer.index not in self._reasoned:
            self._count_reasoning(answer, self._reasoning, bool(delta.reasoning))
        if self.request.include_reasoning is False:
            delta.reasoning = ""
        return delta

    def _count_reasoning(self, answer: CompletionOutput, marks: ReasoningTokens, seen: bool) -> None:
        """Counts the tokens up to those that end the reasoning; they are told once there is some."""
        count, end = len(answer.token_ids), marks.end_token_ids
        known = [*self._tails.get(answer.index, ()), *answer.token_ids]
        place = _find(known, end)
        if place >= 0:
            count = place + len(end) - (len(known) - count)
            self._reasoned.add(answer.index)
        elif len(end) > 1:
            self._tails[answer.index] = known[1 - len(end) :]
        self._reasoning_tokens += count
        if seen or self.account.reasoning_tokens is not None:
            self.account.reasoning_tokens = self._reasoning_tokens


async def prepare_chat(
    state: ServerState,
    headers: Mapping[str, str],
    request: ChatCompletionRequest,
    *,
    split_reasoning: bool = False,
    most_tokens: int | None = None,
) -> ChatRun:
    """Validates a chat and makes it ready to run; nothing is asked of the engine before the answer is read.

    headers: of the HTTP request, by lower-case names. split_reasoning: whatever the server's settings say.
    most_tokens: of an answer, whatever the request says. Raises ApiError.
    """
    lease = await state.lease(request.model)
    with released_on_failure(lease):
        return await _prepare(state, lease, headers, request, split_reasoning, most_tokens)


async def _prepare(
    state: ServerState,
    lease: Lease,
    headers: Mapping[str, str],
    request: ChatCompletionRequest,
    split_reasoning: bool,
    most_tokens: int | None,
) -> ChatRun:
    check_unsupported(request)
    settings, llm, defaults = state.settings, lease.llm, lease.model.sampling_defaults
    if llm.info.runner == "pooling":
        raise bad_request(f"The model `{lease.name}` does not support Chat Completions API", "model")
    tell_old_spellings(state, request)
    plan = plan_answer(lease.model, settings, request, split_reasoning=split_reasoning)
    limits = Limits(llm.info.max_model_len, llm.info.vocab_size, settings.max_logprobs)
    params = ranked(chat_sampling(request, defaults, limits, plan.constraint), request)
    if plan.constraint is not None:
        await check_constraint(state, plan.constraint, plan.constraint_param)
    identity = response_id("chatcmpl", headers, request)
    check_bulk(llm, request.messages, params)
    prompt = await chat_prompt(llm, settings, request, request.messages, plan.shown_tools)
    special = bool(request.add_special_tokens)
    token_ids = await encode_text(llm, prompt.text, params, add_special_tokens=special)
    params = cap_answer(params, defaults, llm.info.max_model_len - len(token_ids), most_tokens)
    reasoning = plan.reasoning_tokens(llm.tokenizer, prompt.text, prompt.thinking)
    params = plan.with_markers(params, request.skip_special_tokens, llm.tokenizer)
    outputs = start(
        llm, [token_ids], params, request, identity, stream=bool(request.stream), reasoning=reasoning
    )
    return ChatRun(
        id=identity,
        created=int(time.time()),
        model=lease.name,
        request=request,
        role=prompt.role,
        prompt_token_ids=token_ids,
        prompt_text=prompt.text,
        params=params,
        account=Account(
            lease.model.metrics,
            [token_ids],
            params,
            model=lease.model.name,
            guest=await guest_of(state, headers),
        ),
        lease=lease,
        outputs=outputs,
        formatter=_formatter(llm, settings, request, params),
        parsers=plan.parsers(prompt.text, prompt.thinking, params.n),
        _echo=prompt.last_text if request.echo else "",
        _keep=(request.n or 1) if params.n != (request.n or 1) else None,
        _tool_finish="stop" if plan.named else "tool_calls",
        _reasoning=reasoning if reasoning is not None and reasoning.in_reasoning else None,
    )


def _formatter(
    llm: AsyncLLM, settings: ServerSettings, request: ChatCompletionRequest, params: SamplingParams
) -> LogprobFormatter | None:
    if not request.logprobs and not request.logprob_token_ids:
        return None
    as_ids = request.return_tokens_as_token_ids
    return LogprobFormatter(
        llm.tokenizer,
        params.logprobs or 0,
        as_ids=settings.return_tokens_as_token_ids if as_ids is None else as_ids,
        listed=params.logprob_token_ids,
    )


def _find(tokens: Sequence[int], wanted: Sequence[int]) -> int:
    """Where the wanted tokens begin, -1 where they are not."""
    first = wanted[0]
    if first not in tokens:
        return -1
    width, wanted = len(wanted), list(wanted)
    places = range(len(tokens) - width + 1)
    return next((place for place in places if list(tokens[place : place + width]) == wanted), -1)
