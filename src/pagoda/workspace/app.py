"""Puts the workspace together: what its routes share, and the routers that the server takes in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from pagoda.workspace.accounts.attempts import Attempts
from pagoda.workspace.accounts.groups import Groups
from pagoda.workspace.accounts.invitations import Invitations
from pagoda.workspace.accounts.passwords import Passwords
from pagoda.workspace.accounts.service import Accounts
from pagoda.workspace.accounts.users import Users
from pagoda.workspace.admin.house_settings import HouseSettings
from pagoda.workspace.admin.hub import Hub
from pagoda.workspace.admin.live import Live
from pagoda.workspace.admin.live_stats import LiveStats
from pagoda.workspace.admin.log_ring import LogRing
from pagoda.workspace.admin.model_hub import ModelHub
from pagoda.workspace.admin.staged_backups import StagedBackups
from pagoda.workspace.chats.folders import Folders
from pagoda.workspace.chats.imports import Imports
from pagoda.workspace.chats.listing import ChatList
from pagoda.workspace.chats.prompts import Prompts
from pagoda.workspace.chats.search import Search
from pagoda.workspace.chats.service import Chats
from pagoda.workspace.chats.sharing import Sharing
from pagoda.workspace.chats.transfer import Transfer
from pagoda.workspace.errors import install_error_handler
from pagoda.workspace.files.attachments import Attachments
from pagoda.workspace.files.service import Files
from pagoda.workspace.files.unused import UnusedFiles
from pagoda.workspace.functions.assembly import Functions
from pagoda.workspace.functions.context import TokenCounter
from pagoda.workspace.generation.api_usage import ApiGuests
from pagoda.workspace.generation.service import Generations
from pagoda.workspace.generation.tabs import Tabs
from pagoda.workspace.generation.tasks import Tasks
from pagoda.workspace.housekeeping import Housekeeping
from pagoda.workspace.models.service import ModelSettings
from pagoda.workspace.providers.base import Provider
from pagoda.workspace.providers.connections import Connections
from pagoda.workspace.providers.registry import Providers
from pagoda.workspace.routes import (
    admin_backup,
    admin_connections,
    admin_functions,
    admin_groups,
    admin_house,
    admin_hub,
    admin_live,
    admin_models,
    admin_users,
    auth,
    chats,
    connections,
    events,
    files,
    folders,
    functions,
    generations,
    me,
    models,
    presets,
    prompts,
    search,
    share,
    transfer,
)
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.exchange import finish_exchange
from pagoda.workspace.storage.migrate import prepare
from pagoda.workspace.storage.sealing import Sealer

_log = logging.getLogger(__name__)


class Workspace:
    """Everything behind /api. `start` before the first request, `stop` after the last.

    data_dir: where its files lie; the server has it to itself. version: of the package, shown in the page.
    passwords: how they are hashed. tokens: tokenizers of the models that this server runs, for functions.
    models: those models themselves, for administrators. stats, log: of the server around, for its live page.
    loopback: whether only this machine reaches the server. restoring: another one takes its place,
    which `replaced` is told.
    """

    def __init__(
        self,
        settings: WorkspaceSettings,
        data_dir: Path,
        providers: Sequence[Provider],
        version: str,
        *,
        passwords: Passwords | None = None,
        tokens: TokenCounter | None = None,
        stats: LiveStats | None = None,
        log: LogRing | None = None,
        models: ModelHub | None = None,
        loopback: bool = False,
    ) -> None:
        self._again = partial(
            Workspace,
            settings,
            data_dir,
            providers,
            version,
            passwords=passwords,
            tokens=tokens,
            stats=stats,
            log=log,
            models=models,
            loopback=loopback,
        )
        self.restoring = False
        self.replaced: Callable[[Workspace], None] = lambda _new: None
        self.uploads = StagedBackups(data_dir)
        self.version = version
        self.loopback = loopback
        self.data_dir = data_dir
        self.database = Database.open(settings.database_url, data_dir)
        self.sealer = Sealer(data_dir, settings.secret_key)
        self.house_settings = HouseSettings(self.database, settings)
        passwords = passwords or Passwords()
        self.accounts = Accounts(self.database, passwords, Attempts(), lambda: self.settings)
        self.users = Users(self.database, passwords, data_dir)
        self.groups = Groups(self.database)
        self.invitations = Invitations(self.database, passwords, lambda: self.settings)
        self.chats = Chats(self.database)
        self.chat_list = ChatList(self.database)
        self.folders = Folders(self.database)
        self.search = Search(self.database)
        self.prompts = Prompts(self.database)
        self.sharing = Sharing(self.database)
        self.files = Files(
            self.database,
            data_dir,
            settings.upload_megabytes * 1_000_000,
            lambda: self.settings.storage_megabytes * 1_000_000,
        )
        self.unused_files = UnusedFiles(self.database, self.files)
        self.housekeeping = Housekeeping(self.database, self.unused_files, lambda: self.settings)
        self.transfer = Transfer(self.database, self.files)
        self.model_settings = ModelSettings(self.database)
        self.connections = Connections(
            self.database, self.sealer, settings.connections, settings.private_connections
        )
        self.providers = Providers(providers, self.connections, self.model_settings)
        self.hub = Hub(self.database, models)
        self.tabs = Tabs()
        self.imports = Imports(self.database, self.prompts, self.files, data_dir, self.tabs.chats_changed)
        self.generations = Generations(
            self.database, self.chats, self.providers, self.tabs, lambda: self.settings
        )
        self.generations.attachments = Attachments(self.files)
        self.tasks = Tasks(self.database, self.chats, self.providers, self.tabs, lambda: self.settings)
        self.generations.ended = self.tasks.ended
        self.functions = Functions(
            self.database,
            self.sealer,
            self.chats,
            self.providers,
            data_dir,
            version,
            by_key=self.accounts.by_key,
            tabs=self.tabs,
            tokens=tokens,
            safe_mode=settings.safe_mode,
            execute=lambda: self.settings.functions_execute,
        )
        self.functions.install(self.generations)
        self.guests = ApiGuests(self.database, self.providers, self.accounts.by_key)
        self.live = Live(stats, self.generations.everyones, self.database)
        self.log = log
        self.draining = asyncio.Event()

    def again(self) -> Workspace:
        """A new one of the same kind, to be started when this one has stopped."""
        found = self._again()
        found.replaced = self.replaced
        return found

    @property
    def settings(self) -> WorkspaceSettings:
        """As they are at the moment."""
        return self.house_settings.current

    async def start(self) -> None:
        """Raises DatabaseError."""
        if finish_exchange(self.data_dir):
            _log.warning("a restore that had been broken off was finished")
        self.uploads.clear()
        await prepare(self.database)
        await self.house_settings.load()
        if not self.settings.auth:
            await self.accounts.begin_without_sign_in()
        await self.accounts.make_first_administrator()
        await self.search.prepare()
        await self.chats.end_interrupted()
        await self.imports.prepare()
        await self.connections.start()
        self.housekeeping.start()
        await self.hub.start()

    async def drain(self) -> None:
        """Ends answers, which are written down, downloads and streams. What comes now finds them ended."""
        self.draining.set()
        self.live.close()
        self.tabs.close_all()
        await self.hub.stop()
        await self.generations.shutdown()

    async def stop(self) -> None:
        """Ends what runs and writes it down."""
        await self.drain()
        await self.imports.stop()
        await self.housekeeping.stop()
        await self.tasks.stop()
        await self.guests.stop()
        await self.connections.stop()
        await self.functions.stop()
        await self.database.close()

    def install(self, app: FastAPI) -> None:
        """Adds the routes; before the one that serves the page."""
        app.state.workspace = self
        install_error_handler(app)
        administration = (
            admin_users,
            admin_groups,
            admin_house,
            admin_hub,
            admin_functions,
            admin_live,
            admin_backup,
        )
        for routes in (
            auth,
            me,
            models,
            events,
            connections,
            presets,
            admin_connections,
            admin_models,
            chats,
            folders,
            search,
            transfer,
            share,
            prompts,
            files,
            generations,
            functions,
            *administration,
        ):
            app.include_router(routes.router)
