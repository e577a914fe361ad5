"""Requests and their answers in the log, for operators who ask for it: they hold what people wrote."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pagoda.engine.generation import Generation, Wakeups

if TYPE_CHECKING:
    from pagoda.engine.messages import AddRequest
    from pagoda.engine.outputs import RequestOutput
    from pagoda.engine.processor import RequestState
    from pagoda.engine.supervisor import EngineSupervisor
    from pagoda.text.tokenizer import Tokenizer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestLog:
    """What is logged. outputs: answers as well. longest: characters of a text and ids of a list that are
    shown; None means all.
    """

    outputs: bool = False
    longest: int | None = None

    def received(self, state: RequestState, tokenizer: Tokenizer) -> None:
        """Logs a request that was accepted."""
        ids = state.prompt_token_ids[: self.longest]
        text = state.prompt if state.prompt is not None else tokenizer.decode(ids, skip_special_tokens=False)
        _log.info(
            "Received request %s: prompt: %r, params: %s, prompt_token_ids: %s, lora_request: None.",
            state.request_id,
            text[: self.longest],
            state.params,
            ids,
        )

    def generated(self, request_id: str, index: int, text: str, ids: list[int], reason: str | None) -> None:
        """Logs one answer."""
        _log.info(
            "Generated response %s-%d: output: %r, output_token_ids: %s, finish_reason: %s",
            request_id,
            index,
            text[: self.longest],
            ids[: self.longest],
            reason,
        )


@dataclass(slots=True)
class _Answer:
    texts: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    reason: str | None = None


class LoggedGeneration(Generation):
    """A generation whose answers go to the log when it is closed."""

    def __init__(
        self,
        log: RequestLog,
        state: RequestState,
        commands: Callable[[], list[AddRequest]],
        supervisor: EngineSupervisor,
        wakeups: Wakeups,
        *,
        stream: bool,
    ) -> None:
        super().__init__(state, commands, supervisor, wakeups, stream=stream)
        self._log = log
        self._answers: dict[int, _Answer] = {}

    def take(self) -> RequestOutput:
        output = super().take()
        for answer in output.outputs:
            known = self._answers.setdefault(answer.index, _Answer())
            known.texts.append(answer.text)
            known.ids += answer.token_ids
            known.reason = answer.finish_reason
        return output

    def close(self) -> None:
        super().close()
        answers, self._answers = self._answers, {}
        for index, answer in answers.items():
            reason = answer.reason or "abort"
            self._log.generated(self.state.request_id, index, "".join(answer.texts), answer.ids, reason)
