"""Adding, changing and setting up functions, and what the page is told of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.functions.context import CallContext
from pagoda.workspace.functions.frontmatter import manifest_of, type_of
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.requested import user_of
from pagoda.workspace.functions.requirements import install, packages_of
from pagoda.workspace.functions.store import FunctionStore, Installed, code_of
from pagoda.workspace.functions.work import PluginError
from pagoda.workspace.models.setup import Setup
from pagoda.workspace.storage.values import now_ms

LONGEST_SOURCE = 1 << 20  #: characters of a function
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")


class FunctionService:
    """For routes. Methods raise WorkspaceError."""

    def __init__(self, host: FunctionHost) -> None:
        self.host = host
        self.store: FunctionStore = host.store

    async def all(self) -> list[Installed]:
        return list((await self.store.all()).values())

    async def create(self, content: str, function_id: str | None = None) -> Installed:
        """From its text; the id is given, or the frontmatter's, or made of its title. It begins inactive."""
        info, fault = await self._told(function_id or "new", content)
        manifest = info.get("manifest") or {}
        wanted = function_id or manifest.get("id") or id_of(manifest.get("title") or info["type"])
        if not _ID.fullmatch(wanted):
            raise WorkspaceError(
                400,
                "An id begins with a letter; then come small letters, digits and underscores.",
                param="id",
            )
        await self.store.add(code_of(wanted, content), info)
        if fault is not None:
            await self.store.change(wanted, error=fault)
        return await self.store.get(wanted)

    async def take_export(self, found: Any) -> tuple[list[Installed], list[dict[str, str]]]:
        """Adds the functions of Open WebUI's export, a list of objects with id, name and content; all begin
        inactive. Gives those that came in, and those that did not with their reasons.
        """
        listed = [each.get("function", each) for each in found if isinstance(each, dict)]
        taken: list[Installed] = []
        left: list[dict[str, str]] = []
        for each in listed:
            name = str(each.get("name") or each.get("id") or "?")[:200]
            try:
                taken.append(await self._take(each, name))
            except WorkspaceError as error:
                left.append({"name": name, "error": str(error)})
        return taken, left

    async def _take(self, exported: Mapping[str, Any], name: str) -> Installed:
        content = exported.get("content")
        if not isinstance(content, str):
            raise WorkspaceError(400, "It has no content.")
        made = await self.create(content, id_of(str(exported.get("id") or name)))
        await self.store.change(made.id, name=name, is_global=exported.get("is_global") is True)
        return await self.store.get(made.id)

    async def rewrite(self, function_id: str, content: str) -> Installed:
        """Another text; valves and switches stay."""
        await self.store.get(function_id)
        info, fault = await self._told(function_id, content)
        await self.store.rewrite(code_of(function_id, content), info)
        if fault is not None:
            await self.store.change(function_id, active=False, error=fault)
        return await self.store.get(function_id)

    async def switch(self, function_id: str, **values: Any) -> Installed:
        """active, is_global, name, position. A function that is switched on has to load."""
        function = await self.store.get(function_id)
        if values.get("active") and not function.active:
            await self._described(function_id, function.code.content, function.valves)
            values["error"] = None
        await self.store.change(function_id, **values)
        return await self.store.get(function_id)

    async def remove(self, function_id: str) -> None:
        await self.store.remove(function_id)

    async def valves(self, function_id: str, principal: Principal) -> dict[str, Any]:
        """{"schema", "values", "secrets"}: of a secret nothing is told but that it is set."""
        function = await self.store.get(function_id)
        return await self._form(function, "schema", function.valves, principal)

    async def save_valves(
        self, function_id: str, values: Mapping[str, Any], principal: Principal
    ) -> dict[str, Any]:
        """Only what is given is saved, the rest keeps its default; None for a secret leaves it as it is."""
        function = await self.store.get(function_id)
        checked = await self._checked(function, "validate", values, function.valves, principal)
        await self.store.save_valves(function_id, checked)
        return await self.valves(function_id, principal)

    async def user_valves(self, function_id: str, principal: Principal) -> dict[str, Any]:
        function = await self.usable(function_id, principal)
        saved = await self.store.user_valves(function_id, principal.id)
        return await self._form(function, "user_schema", saved, principal)

    async def save_user_valves(
        self, function_id: str, values: Mapping[str, Any], principal: Principal
    ) -> dict[str, Any]:
        function = await self.usable(function_id, principal)
        saved = await self.store.user_valves(function_id, principal.id)
        checked = await self._checked(function, "user_validate", values, saved, principal)
        await self.store.save_user_valves(function_id, principal.id, checked)
        return await self.user_valves(function_id, principal)

    async def usable(self, function_id: str, principal: Principal) -> Installed:
        """One that this user meets; what is not active is there for administrators alone."""
        function = await self.store.get(function_id)
        if not function.active and not principal.is_admin:
            raise not_found("function")
        return function

    async def extras(self, principal: Principal, setup: Setup) -> dict[str, Any]:
        """What functions add to a model in the page: filters with a switch, and actions."""
        if not principal.may("functions.use"):
            return {}
        filters = [
            {
                "id": each.id,
                "name": each.name,
                "icon": each.info.get("icon") or "",
                "toggle": True,
                "default": each.id in setup.default_filter_ids,
            }
            for each in await self.host.active("filter")
            if each.info.get("toggle") and (each.is_global or each.id in setup.filter_ids)
        ]
        actions = [
            button
            for each in await self.host.active("action")
            if each.is_global or each.id in setup.action_ids
            for button in buttons_of(each)
        ]
        return {"filters": filters, "actions": actions}

    async def install_requirements(self, function_id: str) -> str:
        """Installs what the frontmatter asks for, beside the server's own packages; gives pip's words."""
        function = await self.store.get(function_id)
        packages = packages_of(function.info.get("manifest") or {})
        if not packages:
            raise WorkspaceError(400, "This function asks for no packages.")
        output = await install(packages, self.host.packages)
        await self.host.process.restart()
        if not self.host.safe_mode:
            await self.store.rewrite(function.code, await self._described(function_id, function.code.content))
        return output

    async def _told(self, function_id: str, content: str) -> tuple[dict[str, Any], str | None]:
        """What a text is, and why it does not load. Only a function that asks for packages may be kept that
        cannot be loaded: they are installed on an administrator's word. Raises WorkspaceError.
        """
        try:
            return await self._described(function_id, content), None
        except WorkspaceError as error:
            manifest, kind = manifest_of(content), type_of(content)
            if error.kind != "function" or kind is None or not packages_of(manifest):
                raise
            return {"type": kind, "manifest": manifest}, str(error)

    async def _described(
        self, function_id: str, content: str, valves: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        if self.host.safe_mode:
            raise WorkspaceError(409, "The server runs in safe mode: no function is loaded.")
        if len(content) > LONGEST_SOURCE:
            raise WorkspaceError(413, "A function has at most a million characters.", param="content")
        try:
            return await self.host.describe(code_of(function_id, content), valves)
        except PluginError as error:
            where = f"Line {error.line}: " if error.line else ""
            raise WorkspaceError(400, f"{where}{error}", param="content", kind="function") from error

    async def _form(
        self, function: Installed, hook: str, saved: Mapping[str, Any] | None, principal: Principal
    ) -> dict[str, Any]:
        schema = function.info.get("valves" if hook == "schema" else "user_valves")
        if schema is None:
            raise not_found("setting of this function")
        if _has_dynamic_options(schema) and not self.host.safe_mode:
            schema = await self._asked(function, hook, None, principal)
        secrets = _secrets(schema)
        values = {name: value for name, value in (saved or {}).items() if name not in secrets}
        return {"schema": schema, "values": values, "secrets": sorted(secrets & set(saved or {}))}

    async def _checked(
        self,
        function: Installed,
        hook: str,
        values: Mapping[str, Any],
        saved: Mapping[str, Any] | None,
        principal: Principal,
    ) -> dict[str, Any]:
        schema = function.info.get("valves" if hook == "validate" else "user_valves")
        if schema is None:
            raise not_found("setting of this function")
        secrets = _secrets(schema)
        kept = {name: value for name, value in (saved or {}).items() if name in secrets}
        given = {name: value for name, value in values.items() if name not in secrets or value is not None}
        found: dict[str, Any] = await self._asked(function, hook, {**kept, **given}, principal)
        return found

    async def _asked(self, function: Installed, hook: str, body: Any, principal: Principal) -> Any:
        context = CallContext(user=user_of(principal), model={}, live=False)
        try:
            return await self.host.run(function, hook, body, context)
        except PluginError as error:
            raise WorkspaceError(
                400, f"The function says: {error}", param="values", kind="function"
            ) from error


def shown(function: Installed, *, content: bool = False) -> dict[str, Any]:
    """A function as administrators get it."""
    info = function.info
    return {
        "id": function.id,
        "type": function.type,
        "name": function.name,
        "manifest": info.get("manifest") or {},
        "hooks": info.get("hooks") or [],
        "toggle": bool(info.get("toggle")),
        "icon": info.get("icon") or "",
        "has_valves": info.get("valves") is not None,
        "has_user_valves": info.get("user_valves") is not None,
        "active": function.active,
        "is_global": function.is_global,
        "priority": function.priority,
        "error": function.error,
        "updated_at": function.updated_at,
        **({"content": function.code.content} if content else {}),
    }


def buttons_of(function: Installed) -> list[dict[str, str]]:
    """The buttons of an action: one of its own, or one for each of its sub-actions."""
    icon = str(function.info.get("icon") or "")
    listed = function.info.get("actions") or [{"id": "", "name": "", "icon_url": ""}]
    return [
        {
            "id": f"{function.id}.{each['id']}" if each["id"] else function.id,
            "name": each.get("name") or function.name,
            "icon": each.get("icon_url") or icon,
        }
        for each in listed
    ]


def id_of(title: str) -> str:
    """An id made of a title; with the time where nothing of it is left."""
    found = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:64]
    if not found:
        return f"function_{now_ms()}"
    return found if found[0].isalpha() else f"f_{found}"[:64]


def _secrets(schema: Mapping[str, Any]) -> set[str]:
    return {name for name, entry in (schema.get("properties") or {}).items() if _is_secret(entry)}


def _is_secret(entry: Mapping[str, Any]) -> bool:
    extra = entry.get("input")
    asked = isinstance(extra, dict) and extra.get("type") == "password"
    return asked or entry.get("format") == "password"


def _has_dynamic_options(schema: Mapping[str, Any]) -> bool:
    return any(
        isinstance(entry.get("input"), dict) and "options" in entry["input"]
        for entry in (schema.get("properties") or {}).values()
    )
