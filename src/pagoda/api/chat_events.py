"""A chat's answers as the events of /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Callable

from pagoda.api.chat_run import ChatPiece, ChatRun
from pagoda.api.chunks import ChunkEncoder
from pagoda.api.responses import FINGERPRINT, shows_usage
from pagoda.api.settings import ServerSettings
from pagoda.api.sse import DONE


class ChatEvents:
    """An `EventSource`: a role chunk with an answer's first token, news as they come, finish, counts and
    [DONE].
    """

    def __init__(self, run: ChatRun, settings: ServerSettings) -> None:
        self._run = run
        self._encoder = ChunkEncoder("chat", run.id, run.created, run.model, FINGERPRINT)
        self._include_usage, self._continuous = shows_usage(run.request, settings)
        self._with_ids = bool(run.request.return_token_ids)
        self._plain = not self._with_ids and not self._continuous
        self._begun: set[int] = set()
        self.finished = False

    def start(self, on_news: Callable[[], None]) -> None:
        self._run.outputs.start(on_news)

    def listen(self, on_news: Callable[[], None]) -> None:
        self._run.outputs.listen(on_news)

    def take(self) -> bytes:
        run, parts = self._run, []
        pieces = run.take()
        for piece in pieces:
            if piece.index not in self._begun:
                self._begun.add(piece.index)
                parts.append(self._role(piece.index))
            if self._plain and piece.finish_reason is None and piece.logprobs is None:
                parts.append(self._encoder.delta(piece.index, piece.delta))
            else:
                parts.append(self._full(piece))
        if pieces and run.finished:
            if self._include_usage:
                parts.append(self._encoder.usage(run.account.usage(), run.account.response_metrics()))
            parts.append(DONE)
            self.finished = True
        return b"".join(parts)

    def close(self) -> None:
        self._run.outputs.close()

    def _full(self, piece: ChatPiece) -> bytes:
        return self._encoder.full(
            piece.index,
            piece.delta,
            logprobs=piece.logprobs,
            finish_reason=piece.finish_reason,
            stop_reason=piece.stop_reason,
            token_ids=piece.token_ids if self._with_ids else None,
            usage=self._run.account.usage() if self._continuous else None,
        )

    def _role(self, index: int) -> bytes:
        request = self._run.request
        return self._encoder.role(
            index,
            self._run.role,
            prompt_token_ids=self._run.prompt_token_ids if request.return_token_ids else None,
            prompt_text=self._run.prompt_text if request.return_prompt_text else None,
            usage=self._run.account.usage() if self._continuous else None,
        )
