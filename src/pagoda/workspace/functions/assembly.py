"""Puts the parts of plugin functions together, for the workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pagoda.workspace.chats.service import Chats
from pagoda.workspace.functions.actions import Actions
from pagoda.workspace.functions.answers import HouseAnswers
from pagoda.workspace.functions.api import ApiFunctions, ByKey
from pagoda.workspace.functions.context import NoTabs, Tabs, TokenCounter
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.house_questions import HouseQuestions
from pagoda.workspace.functions.messages import Limits
from pagoda.workspace.functions.page import PageFunctions
from pagoda.workspace.functions.pipe_provider import PipeProvider
from pagoda.workspace.functions.service import FunctionService
from pagoda.workspace.functions.store import FunctionStore
from pagoda.workspace.generation.service import Generations
from pagoda.workspace.providers.registry import Providers
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.sealing import Sealer

FOLDER = "functions"


class Functions:
    """by_key: whose personal key it is. tabs: the open pages. tokens: tokenizers of models that this
    server runs. safe_mode: nothing is loaded. execute: functions may run scripts in the page.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        chats: Chats,
        providers: Providers,
        data_dir: Path,
        version: str,
        *,
        by_key: ByKey,
        tabs: Tabs | None = None,
        tokens: TokenCounter | None = None,
        safe_mode: bool = False,
        execute: Callable[[], bool] = bool,
        limits: Limits | None = None,
    ) -> None:
        tabs = tabs or NoTabs()
        house = HouseQuestions(database, chats, providers)
        answers = HouseAnswers(tabs, tokens, house.questions(), execute=execute)
        store = FunctionStore(database, sealer)
        self.host = FunctionHost(
            store, data_dir / FOLDER, version, answers, safe_mode=safe_mode, limits=limits
        )
        self.service = FunctionService(self.host)
        self.page = PageFunctions(self.host, database, chats, tabs, execute=execute)
        self.api = ApiFunctions(self.host, providers, by_key)
        self.actions = Actions(self.host, chats, providers, tabs, execute=execute)
        providers.extras = self.service.extras
        providers.add(PipeProvider(self.host, house.user))

    def install(self, generations: Generations) -> None:
        """From now on answers of the page pass the filters."""
        generations.answering.hooks = self.page

    async def stop(self) -> None:
        await self.host.process.stop()
