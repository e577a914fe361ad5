"""A chat with an engine of its own."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from pagoda.cli.console import LoadingProgress
from pagoda.cli.conversation import AnswerStats, ChatSettings, Conversation
from pagoda.cli.errors import UsageError
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.config import EngineConfig

if TYPE_CHECKING:
    from pagoda.engine.params import SamplingParams

#: for a model that says nothing of its own: small models ramble at the neutral temperature of 1
UNSTATED_SAMPLING = {"temperature": 0.6, "top_p": 0.9}
ROOM_FOR_ANSWER = 256  #: tokens kept free for an answer, where the context is large enough


class LocalPartner:
    """An engine that starts to load at once."""

    def __init__(self, config: EngineConfig, name: str, settings: ChatSettings) -> None:
        self._name = name
        self._settings = settings
        self._llm = AsyncLLM.launch(config)

    async def open(self) -> tuple[Conversation, str]:
        """Waits until the model is loaded; the conversation, and a line about the model."""
        loading = LoadingProgress(f"Loading {self._name}")
        try:
            info = await self._llm.wait_ready(loading.update)
        finally:
            loading.finish()
        line = (
            f"{self._name}: {info.architecture}, {info.max_model_len:,} tokens of context, "
            f"{info.num_threads} threads"
        )
        return LocalConversation(self._llm, self._settings), line

    @property
    def is_gone(self) -> bool:
        """Whether no further answer can be had."""
        return self._llm.status == "dead"

    async def close(self) -> None:
        await self._llm.shutdown()


class LocalConversation(Conversation):
    """Messages with a ready model. Old messages are left out of the prompt when the context is full."""

    def __init__(self, llm: AsyncLLM, settings: ChatSettings) -> None:
        if llm.chat_template is None:
            raise UsageError(
                "this model has no chat template, so it cannot chat; use an instruct or chat model"
            )
        super().__init__(settings)
        self._llm = llm
        self._template = llm.chat_template
        self._count = 0

    async def answer(self, text: str) -> AsyncGenerator[str, None]:
        """The pieces of the answer to `text`; closing the iterator stops it, and what was said stays said.

        `stats` describes it afterwards. Raises UsageError when the message alone is longer than the context.
        """
        self.messages.append({"role": "user", "content": text})
        try:
            prompt, dropped = self._prompt()
            params = self._params(len(prompt))
        except BaseException:
            self.messages.pop()
            raise
        self.stats = stats = AnswerStats(prompt_tokens=len(prompt), dropped_messages=dropped)
        self._count += 1
        started = last = time.monotonic()
        said: list[str] = []
        stream = self._llm.generate(prompt, params, f"chat-{self._count}")
        try:
            async for output in stream:
                piece = output.outputs[0]
                if piece.token_ids:
                    last = time.monotonic()
                    if not stats.tokens:
                        stats.first_seconds, started = last - started, last
                    stats.tokens += len(piece.token_ids)
                    stats.stream_seconds = last - started
                stats.finish_reason = piece.finish_reason
                if piece.text:
                    said.append(piece.text)
                    yield piece.text
        finally:
            self.messages.append({"role": "assistant", "content": "".join(said)})

    def _prompt(self) -> tuple[list[int], int]:
        """The prompt's tokens and how many old messages were left out to make it fit."""
        limit = self._llm.info.max_model_len
        room = min(ROOM_FOR_ANSWER, limit // 4)
        messages = list(self.messages)
        while True:
            head = [{"role": "system", "content": self.system}] if self.system else []
            rendered = self._template.render([*head, *messages])
            tokens = self._llm.tokenizer.encode(rendered, add_special_tokens=False)
            if len(tokens) + room <= limit:
                return tokens, len(self.messages) - len(messages)
            if len(messages) <= 1:
                raise UsageError(
                    f"the message has {len(tokens)} tokens and the context {limit}, of which {room} are kept "
                    "for the answer; shorten it, or start with a larger --max-model-len"
                )
            messages = messages[2:]

    def _params(self, prompt_length: int) -> SamplingParams:
        from pagoda.engine.params import SamplingParams

        values = UNSTATED_SAMPLING | dict(self._llm.generation_config)
        for name in ("temperature", "top_p", "top_k", "seed"):
            value = getattr(self._settings, name)
            if value is not None:
                values[name] = value
        room = self._llm.info.max_model_len - prompt_length
        values["max_tokens"] = min(self._settings.max_tokens or room, room)
        return SamplingParams.from_mapping(values)
