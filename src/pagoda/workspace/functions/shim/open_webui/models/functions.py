"""Functions that are saved."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pagoda.workspace.functions.plugin_process.peer import ask_now

from ..served import Nothing, ServedModel


class FunctionModel(ServedModel):
    """A function."""

    id: str
    type: str = ""
    name: str = ""
    content: str = ""
    meta: dict[str, Any] = Field(default_factory=dict)
    is_active: bool = False
    is_global: bool = False


class FunctionsTable:
    """Looks functions up; of their valves nothing is told."""

    def get_function_by_id(self, id: str, **_options: Any) -> FunctionModel | Nothing:  # noqa: A002
        found = ask_now("function", id=id)
        return Nothing() if found is None else FunctionModel(**found)


Functions = FunctionsTable()
