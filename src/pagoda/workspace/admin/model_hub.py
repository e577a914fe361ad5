"""What the workspace asks of the side that has models on its disk and in memory; composition gives it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pagoda.workspace.errors import WorkspaceError

Verdict = Literal["yes", "tight", "no"]


class ModelHubError(WorkspaceError):
    """What was asked of the models cannot be done; one line for the administrator.

    kind: "needs_room" and "loaded" are for the page to ask about.
    """

    def __init__(
        self,
        message: str,
        status: int = 409,
        kind: str = "conflict",
        *,
        code: str | None = None,
        values: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(status, message, kind=kind, code=code, values=values)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that is served because an administrator said so: what finds its files, and its name."""

    model: str
    name: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class PullNews:
    """How far a download is; None leaves a value as it was. step: what is being done, in words. total: bytes
    of the step. ready: the model is here, by this name.
    """

    step: str | None = None
    done: int | None = None
    total: int | None = None
    message: str | None = None
    ready: str | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits into memory. code, values: the reason for the page; text: in a sentence."""

    verdict: Verdict
    code: str
    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model on this machine.

    id: its name where it is served, else that of its files. source: "catalog", "folder" (of models), "hub",
    or "given" (files of the user's own). size, needs, held: bytes on disk, bytes that loading it takes, bytes
    that it has reserved. context: tokens. state: "disk" is not served. offered: served because an
    administrator said so. code, values: name the sentence of the error, where it has one.
    kept: why it cannot be removed, None where it can.
    """

    id: str
    reference: str
    revision: str | None = None
    path: str
    source: str
    format: str
    size: int | None
    parameters: int | None = None
    architecture: str | None = None
    runner: str | None = None
    context: int | None = None
    state: str
    needs: int | None = None
    held: int = 0
    fit: Fit | None = None
    default: bool = False
    offered: bool = False
    parent: str | None = None
    answering: int = 0
    error: str | None = None
    code: str | None = None
    values: Mapping[str, str | int] = field(default_factory=dict)
    kept: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """A model that can be pulled by a short name. size: bytes of its files."""

    name: str
    description: str
    licence: str
    size: int
    present: bool
    fit: Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes: of the machine, free for one more model, reserved by models, allowed for models together, and
    free on the disk that downloads go to. max_loaded: models in memory at a time.
    """

    total: int | None
    available: int | None
    used_by_models: int
    limit: int | None
    max_loaded: int | None
    disk_free: int | None


@dataclass(frozen=True, slots=True)
class HubOverview:
    """models: on this disk and served. offline: nothing is to be fetched."""

    models: list[HubModel]
    catalog: list[CatalogModel]
    memory: Memory
    offline: bool


class ModelHub(Protocol):
    """All methods belong to one event loop and raise ModelHubError."""

    async def overview(self) -> HubOverview: ...

    def plain_name(self, model: str, revision: str | None) -> tuple[str, str | None]:
        """The name and revision that are meant by what somebody typed, without asking anybody."""
        ...

    def pull(self, model: str, revision: str | None) -> AsyncGenerator[PullNews, None]:
        """Fetches a model, or verifies what is here; the last news has `ready`. Closing it stops the
        download; what has come stays for the next time.
        """
        ...

    async def offer(self, offer: Offer, *, at_start: bool = False) -> None:
        """Serves a model from now on, loaded when it is asked for; one of this name is replaced if it was
        offered before. at_start: before the server serves; nothing is looked at that takes time.
        """
        ...

    def offered(self) -> frozenset[str]:
        """The names of models that are served by `offer`."""
        ...

    async def withdraw(self, name: str) -> None:
        """Serves a model no more that was offered; what runs on it ends first."""
        ...

    async def check_load(self, model: str, make_room: bool) -> Offer | None:
        """Whether a model can be loaded; what is to be offered first, where it is not served. make_room:
        others may be unloaded for it.
        """
        ...

    def begin_load(self, name: str) -> None:
        """Loads a served model in the background; the overview tells how that goes."""
        ...

    def begin_unload(self, name: str) -> None:
        """Unloads a model in the background, when what runs on it has ended."""
        ...

    async def remove(self, model: str, unload: bool) -> list[str]:
        """Deletes a model's files. unload: also when it is in memory. Gives the names it was served by."""
        ...

    async def stop(self) -> None:
        """Ends what runs in the background."""
        ...
