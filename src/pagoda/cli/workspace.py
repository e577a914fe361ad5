"""The workspace as a part of the server: what it gets of the API's side, and what the API gets of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import FastAPI

from pagoda import __version__
from pagoda.api.errors import ApiError
from pagoda.api.in_process import InProcessChats
from pagoda.api.part import ServerPartError
from pagoda.api.prompts import tokenize
from pagoda.api.served_model import ServedModel
from pagoda.api.web_app import web_router
from pagoda.cli.functions import HttpFunctions, ServedTokens
from pagoda.cli.live import ServerStats
from pagoda.cli.model_hub import PooledModels
from pagoda.cli.ready import Access
from pagoda.cli.settings import web_dir
from pagoda.hub import LocalModel
from pagoda.workspace.admin.log_ring import LogRing
from pagoda.workspace.app import Workspace
from pagoda.workspace.providers.base import ProviderError, ProviderModel
from pagoda.workspace.providers.local import LocalProvider
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import DatabaseClosedError, DatabaseError


class WorkspacePart:
    """A `ServerPart`: the page and what it needs. data_dir: the data folder, locked by this server. further:
    makes a served model of one on this disk and a name. offline: nothing may be fetched. log: what the page
    shows of it. safe_mode: whether no plugin function is loaded; None leaves it to the environment. loopback:
    whether only this machine reaches the server. access: who may use it; known after `start`.
    """

    def __init__(
        self,
        data_dir: Path,
        further: Callable[[LocalModel, str], ServedModel],
        *,
        offline: bool = False,
        log: LogRing | None = None,
        safe_mode: bool | None = None,
        loopback: bool = False,
    ) -> None:
        self._data_dir = data_dir
        self._further = further
        self._offline = offline
        self._log = log
        self._safe_mode = safe_mode
        self._loopback = loopback
        self._workspace: Workspace | None = None
        self.access: Access = "accounts"

    def install(self, app: FastAPI) -> None:
        """Raises DatabaseError for a DATABASE_URL that is none."""
        local = LocalProvider(LocalModels(InProcessChats(app.state.server)), as_provider_error)
        settings = WorkspaceSettings.from_environment(os.environ)
        if self._safe_mode is not None:
            settings = settings.changed({"safe_mode": self._safe_mode})
        pool = app.state.server.models
        self._workspace = Workspace(
            settings,
            self._data_dir,
            [local],
            __version__,
            tokens=ServedTokens(pool),
            models=PooledModels(pool, self._further, offline=self._offline),
            stats=ServerStats(pool),
            log=self._log,
            loopback=self._loopback,
        )

        def use(workspace: Workspace) -> None:
            self._workspace = workspace
            app.state.server.hooks = HttpFunctions(workspace.functions.api, workspace.guests)

        use(self._workspace)
        self._workspace.replaced = use
        self._workspace.install(app)
        app.include_router(web_router(web_dir()))

    async def start(self) -> None:
        try:
            await self._installed.start()
            if not self._installed.settings.auth:
                self.access = "open"
            elif await self._installed.accounts.setup_required():
                self.access = "setup"
        except DatabaseError as error:
            raise ServerPartError(str(error)) from error

    async def drain(self) -> None:
        await self._installed.drain()

    async def stop(self) -> None:
        await self._installed.stop()

    async def knows_key(self, key: str) -> bool:
        try:
            return await self._installed.accounts.by_key(key) is not None
        except DatabaseClosedError:
            return False  # a backup takes its place: the key may not be known there

    @property
    def _installed(self) -> Workspace:
        if self._workspace is None:
            raise RuntimeError("the workspace is not installed")
        return self._workspace


class LocalModels:
    """The server's own models for the workspace (a `LocalChats`)."""

    def __init__(self, chats: InProcessChats) -> None:
        self._chats = chats
        self.chat = chats.chat

    def list_models(self) -> Sequence[ProviderModel]:
        """Those that write text, or may."""
        return [_shown(model) for model in self._chats.models() if _writes(model)]

    async def count_tokens(self, text: str, model: str) -> int | None:
        """By the model's own tokenizer, without what its template adds; None while it is not loaded."""
        for each in self._chats.models():
            if each.name == model and (llm := each.loaded_llm) is not None:
                return len(await tokenize(llm.tokenizer, text, add_special_tokens=False))
        return None


def as_provider_error(error: Exception) -> ProviderError | None:
    """An error of the API in the workspace's words."""
    if not isinstance(error, ApiError):
        return None
    kinds = {503: "overloaded", 429: "overloaded", 404: "refused", 400: "refused"}
    kind = kinds.get(error.status_code, "failed")
    if kind == "refused" and "maximum context length" in error.message:
        kind = "too_long"
    return ProviderError(error.message, error.status_code, kind)


def _writes(model: ServedModel) -> bool:
    known = model.info or model.forecast
    return known is None or known.runner != "pooling"


def _shown(model: ServedModel) -> ProviderModel:
    states = {"loaded": "ready", "loading": "loading"}
    return ProviderModel(
        id=model.name,
        name=_short(model.name),
        context_length=model.max_model_len,
        capabilities=frozenset(("tools",)),
        state=states.get(model.residence, "unloaded"),
        error=model.failure,
    )


def _short(name: str) -> str:
    """A model that is served by its path, as vLLM names it, is shown by the end of it."""
    return Path(name).name if name.startswith(("/", "./", "../", "~")) else name
