"""Files of the user whose request a function serves."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pagoda.workspace.functions.plugin_process.peer import ask_now

from ..served import Nothing, ServedList, ServedModel


class FileModel(ServedModel):
    """A file; `data` holds its text."""

    id: str
    user_id: str = ""
    filename: str = ""
    path: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    meta: dict[str, Any] = Field(default_factory=dict)


class FilesTable:
    """Looks files up."""

    def get_file_by_id(self, id: str, **_options: Any) -> FileModel | Nothing:  # noqa: A002
        found = ask_now("file", id=id)
        return Nothing() if found is None else FileModel(**found)

    def get_file_metadata_by_id(self, id: str, **_options: Any) -> FileModel | Nothing:  # noqa: A002
        return self.get_file_by_id(id)

    def get_files_by_ids(self, ids: list[str], **_options: Any) -> ServedList:
        found = [self.get_file_by_id(each) for each in ids]
        return ServedList(each for each in found if each)


Files = FilesTable()
