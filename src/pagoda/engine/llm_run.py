"""Runs a script's requests on an engine without an event loop, under a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from tqdm import tqdm  # type: ignore[import-untyped]

from pagoda.engine.messages import AddRequest, StepOutput
from pagoda.engine.outputs import RequestOutput
from pagoda.engine.processor import RequestState

UseTqdm: TypeAlias = bool | Callable[..., Any]


class StepEngine(Protocol):
    """What EngineCore and RemoteEngine have in common."""

    def add_request(self, command: AddRequest) -> None: ...
    def abort(self, request_id: str) -> None: ...
    def has_work(self) -> bool: ...
    def step(self) -> StepOutput: ...


def run_requests(
    engine: StepEngine,
    states: Sequence[RequestState],
    priorities: Sequence[int],
    cache_salts: Sequence[str],
    eos_token_ids: tuple[int, ...],
    bar: Bar,
) -> list[RequestOutput]:
    """The results of all requests in their order. Raises RequestFailedError or EngineDeadError."""
    owners: dict[str, tuple[RequestState, int]] = {}
    results: dict[str, RequestOutput] = {}
    try:
        for state, priority, salt in zip(states, priorities, cache_salts, strict=True):
            commands = state.commands(
                f"{state.request_id}.", eos_token_ids=eos_token_ids, priority=priority, cache_salt=salt
            )
            for index, command in enumerate(commands):
                owners[command.request_id] = (state, index)
                engine.add_request(command)
        while owners and engine.has_work():
            for delta in engine.step().deltas:
                if delta.request_id not in owners:
                    continue
                state, index = owners[delta.request_id]
                if state.push(index, delta):
                    engine.abort(delta.request_id)
                if index not in state.unfinished():
                    del owners[delta.request_id]
                if state.finished:
                    results[state.request_id] = state.take(everything=True)
                    bar.advance(state)
    finally:
        # Only after an error or Ctrl-C is anything left.
        for request_id in owners:
            engine.abort(request_id)
    return [results[state.request_id] for state in states]


class Bar:
    """A progress bar over prompts, with the tokens a second of all that are done.

    use_tqdm: whether to show one, or what makes one instead of tqdm.
    """

    def __init__(self, total: int, use_tqdm: UseTqdm) -> None:
        text = f"est. speed input: {0:.2f} toks/s, output: {0:.2f} toks/s"
        make = use_tqdm if callable(use_tqdm) else tqdm
        self._bar = make(
            total=total, desc="Processed prompts", dynamic_ncols=True, postfix=text, disable=not use_tqdm
        )
        self._inputs = 0
        self._outputs = 0

    def advance(self, state: RequestState) -> None:
        """A request has ended."""
        self.count(len(state.prompt_token_ids), state.num_output_tokens)

    def count(self, inputs: int, outputs: int) -> None:
        """A prompt of so many tokens has its answers of so many."""
        self._inputs += inputs
        self._outputs += outputs
        elapsed = self._bar.format_dict["elapsed"] or 1e-9
        self._bar.postfix = (
            f"est. speed input: {self._inputs / elapsed:.2f} toks/s, "
            f"output: {self._outputs / elapsed:.2f} toks/s"
        )
        self._bar.update(1)

    def close(self) -> None:
        self._bar.close()
