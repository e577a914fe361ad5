"""The engine as a server sees it: a process of its own, asynchronous generators of results, and its state."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.errors import EngineDeadError, EngineStartError, RequestFailedError
from pagoda.engine.generation import Generation, Wakeups
from pagoda.engine.launcher import EngineProcess
from pagoda.engine.messages import PoolingTask, ReasoningTokens, TokenDelta
from pagoda.engine.outputs import RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.engine.request_log import LoggedGeneration, RequestLog
from pagoda.engine.supervisor import EngineSupervisor, Status
from pagoda.engine.validation import PromptError, check_prompt, check_text, truncate_prompt

# What handles text takes a while to import; the engine process is started before it.
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pagoda.engine.pooling_inputs import PoolingInput
    from pagoda.engine.text_tools import TextTools
    from pagoda.text.chat_template import ChatTemplate
    from pagoda.text.tokenizer import Tokenizer

__all__ = ["AsyncLLM", "EngineDeadError", "EngineStartError", "PromptError", "RequestFailedError"]


class AsyncLLM:
    """Made by `launch`; usable once `wait_ready` has returned. All methods belong to one event loop.

    request_log: where requests are logged; None means not at all.
    """

    def __init__(self, config: EngineConfig, supervisor: EngineSupervisor) -> None:
        self.config = config
        self.request_log: RequestLog | None = None
        self._supervisor = supervisor
        self._ids = count()
        self._wakeups = Wakeups(supervisor)
        self._given_text: TextTools | None = None
        self._text: TextTools | None = None
        self._eos_token_ids: tuple[int, ...] = ()

    @classmethod
    def launch(cls, config: EngineConfig, told: Callable[[str], None] | None = None) -> AsyncLLM:
        """Starts the engine process and returns at once. Needs no event loop. told: gets the lines that the
        process writes on standard error, where they go as well.
        """
        supervisor = EngineSupervisor(config, partial(EngineProcess.start, told=told))
        supervisor.start()
        return cls(config, supervisor)

    @property
    def engine_pid(self) -> int | None:
        """Of the engine process; None while there is none."""
        return self._supervisor.engine_pid

    @property
    def text(self) -> TextTools | None:
        """Tokenizer and template, once they are loaded."""
        return self._text

    def use_text(self, text: TextTools) -> None:
        """Takes what `text` of an engine with the same files was, instead of loading it again: large
        tokenizers hold up the whole process while they load. To be called before `wait_ready`.
        """
        self._given_text = text

    async def wait_ready(self, on_progress: Callable[[int, int], None] | None = None) -> EngineInfo:
        """Waits until requests are served; `on_progress` gets the bytes loaded and all. Raises
        EngineStartError.
        """
        self._supervisor.on_progress = on_progress
        text, info = await asyncio.gather(
            self._load_text(),
            self._supervisor.wait_ready(),
            return_exceptions=True,
        )
        if isinstance(info, BaseException):
            raise info
        if isinstance(text, BaseException):
            raise text
        self._text = text
        self._eos_token_ids = tuple(dict.fromkeys((*text.tokenizer.eos_token_ids, *info.eos_token_ids)))
        return info

    def observe_steps(self, observer: Callable[[EngineStats, EngineStats], None]) -> None:
        """Calls `observer` with the counters before and after, at every report of the engine."""
        self._supervisor.on_stats = observer

    @property
    def has_info(self) -> bool:
        """Whether the engine has been ready once."""
        return self._supervisor.info is not None

    @property
    def info(self) -> EngineInfo:
        """What the engine said when it became ready. Raises RuntimeError before."""
        if self._supervisor.info is None:
            raise RuntimeError("the engine is not ready yet")
        return self._supervisor.info

    @property
    def tokenizer(self) -> Tokenizer:
        """Raises RuntimeError before the engine is ready."""
        return self._text_tools.tokenizer

    @property
    def chat_template(self) -> ChatTemplate | None:
        """None for a model without one. Raises TemplateError for one that cannot be used."""
        return self._text_tools.chat_template

    @property
    def _text_tools(self) -> TextTools:
        if self._text is None:
            raise RuntimeError("the engine is not ready yet")
        return self._text

    @property
    def generation_config(self) -> Mapping[str, Any]:
        """The checkpoint's own defaults for sampling, by the names of Hugging Face's
        generation_config.json.
        """
        return self.info.generation_config

    @property
    def status(self) -> Status:
        if self._text is None and self._supervisor.status in ("ready", "degraded"):
            return "starting"  # the engine may be quicker than the tokenizer
        return self._supervisor.status

    @property
    def status_reason(self) -> str | None:
        """Why the status is what it is; None while all is well."""
        return self._supervisor.status_reason

    @property
    def stats(self) -> EngineStats:
        """The engine's latest counters; they go on over restarts."""
        return self._supervisor.stats

    def generate(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams,
        request_id: str,
        *,
        stream: bool = True,
        priority: int = 0,
        cache_salt: str = "",
        user: str = "",
        reasoning: ReasoningTokens | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        """Answers a prompt, given as text or as token ids.

        Validates at once: raises PromptError, or EngineDeadError when the engine has stopped. With `stream`
        every output holds what is new, and outputs that pile up are joined; else one output holds everything.
        The request begins with the first output asked for; closing or cancelling the iterator frees it in the
        engine. The iterator raises RequestFailedError when the engine fails the request, EngineDeadError when
        it stops for good.
        """
        generation = self.begin(
            prompt,
            params,
            request_id,
            stream=stream,
            priority=priority,
            cache_salt=cache_salt,
            user=user,
            reasoning=reasoning,
        )
        return self._outputs(generation)

    def begin(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams,
        request_id: str,
        *,
        stream: bool = True,
        priority: int = 0,
        cache_salt: str = "",
        user: str = "",
        reasoning: ReasoningTokens | None = None,
    ) -> Generation:
        """As `generate`, for those who want to be called when there is news, without a task. Whoever begins
        one must close it.
        """
        from pagoda.engine.processor import RequestState

        if self.status == "dead":
            raise EngineDeadError(self.status_reason or "the engine has stopped")
        text, token_ids = self._tokenize(prompt, params)
        token_ids = truncate_prompt(token_ids, params, max_model_len=self.info.max_model_len)
        params = check_prompt(
            token_ids, params, max_model_len=self.info.max_model_len, vocab_size=self.info.vocab_size
        )
        seed = params.seed if params.seed is not None else secrets.randbits(64)
        state = RequestState(request_id, text, token_ids, params, self.tokenizer, seed)
        commands = partial(
            state.commands,
            f"{next(self._ids)}.",  # engine ids are never used twice, whatever ids clients choose
            eos_token_ids=self._eos_token_ids,
            priority=priority,
            cache_salt=cache_salt,
            user=user,
            reasoning=reasoning,
        )
        if self.request_log is None:
            return Generation(state, commands, self._supervisor, self._wakeups, stream=stream)
        self.request_log.received(state, self.tokenizer)
        if not self.request_log.outputs:
            return Generation(state, commands, self._supervisor, self._wakeups, stream=stream)
        return LoggedGeneration(
            self.request_log, state, commands, self._supervisor, self._wakeups, stream=stream
        )

    async def embed(
        self,
        prompt: PoolingInput,
        request_id: str,
        params: PoolingTask | None = None,
        *,
        priority: int = 0,
        user: str = "",
    ) -> npt.NDArray[np.float32]:
        """What a pooling engine makes of a prompt: a vector, or one for each token (tokens, size).

        `prompt` comes from pooling_inputs.read_prompts. Cancelling frees it in the engine. Raises
        RequestFailedError when the engine fails the request, EngineDeadError when it has stopped.
        """
        from pagoda.engine.pooling_client import pooling_command, pooling_result

        command = pooling_command(
            f"{next(self._ids)}.{request_id}", prompt, params or PoolingTask(), priority, user
        )
        arrived: asyncio.Future[TokenDelta] = asyncio.get_running_loop().create_future()

        def deliver(delta: TokenDelta) -> None:
            if not arrived.done():
                arrived.set_result(delta)

        self._supervisor.add(command, deliver)
        try:
            return pooling_result(await arrived, command)
        except RequestFailedError as error:
            if self.status == "dead":
                raise EngineDeadError(str(error)) from error
            raise
        finally:
            self._supervisor.abort(command.request_id)  # does nothing for one that has ended

    async def reset_prefix_cache(self) -> None:
        """Forgets cached blocks that no running request holds."""
        self._supervisor.reset_prefix_cache()

    async def shutdown(self) -> None:
        """Ends the engine process; running requests end with finish_reason "abort"."""
        await self._supervisor.shutdown()

    async def _load_text(self) -> TextTools:
        if self._given_text is not None:
            return self._given_text
        return await asyncio.to_thread(load_text, self.config)

    def _tokenize(self, prompt: str | Sequence[int], params: SamplingParams) -> tuple[str | None, list[int]]:
        if not isinstance(prompt, str):
            return None, list(prompt)
        check_text(prompt, params, max_model_len=self.info.max_model_len)
        try:
            return prompt, self.tokenizer.encode(prompt)
        except ValueError as error:
            raise PromptError("prompt", str(error)) from error

    @staticmethod
    async def _outputs(generation: Generation) -> AsyncGenerator[RequestOutput, None]:
        arrived = asyncio.Event()
        try:
            generation.start(arrived.set)
            while True:
                await arrived.wait()
                arrived.clear()
                finished = generation.finished
                yield generation.take()
                if finished:
                    return
        finally:
            generation.close()


def load_text(config: EngineConfig) -> TextTools:
    """The tokenizer and template of a model. Raises EngineStartError."""
    from pagoda.engine.text_tools import load_text_tools

    return load_text_tools(Path(config.tokenizer or config.model_path), config.chat_template)
