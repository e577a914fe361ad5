"""Files in questions: checked when they are asked, and found again for every answer of their branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.files.service import Files
from pagoda.workspace.providers.registry import Resolved

ATTACHED = ("file", "image")  #: types of parts that stand for files
MOST_FILES = 20  #: of one question


class Attachments:
    """From parts with file ids to what is kept of them, and to what a model gets."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def checked(
        self, principal: Principal, parts: Sequence[dict[str, Any]], models: Sequence[Resolved]
    ) -> list[dict[str, Any]]:
        """The parts of a question as they are kept: files with names, and with `tokens`, as the first model
        counts them, where it can. Raises WorkspaceError for files that are not the asker's, and for pictures
        that one of the models does not see.
        """
        wanted = [part["file_id"] for part in parts if part["type"] in ATTACHED]
        if len(wanted) > MOST_FILES:
            raise WorkspaceError(
                400,
                f"Attach at most {MOST_FILES} files to a question.",
                param="parts",
                code="most_files",
                values={"count": MOST_FILES},
            )
        found = await self._files.attached(principal.id, wanted) if wanted else {}
        kept: list[dict[str, Any]] = []
        for part in parts:
            if part["type"] not in ATTACHED:
                kept.append(part)
                continue
            file = found.get(part["file_id"])
            if file is None:
                raise not_found("file")
            if file.text is None:
                for model in models:
                    if not sees(model):
                        raise WorkspaceError(
                            400,
                            f"{model.id} does not see pictures.",
                            param="models",
                            code="no_vision",
                            values={"model": model.id},
                        )
                kept.append({"type": "image", "file_id": file.id, "name": file.name})
                continue
            first = models[0]
            tokens = await self._files.count(file, first.id, first.provider, first.model.id)
            kept.append({"type": "file", "file_id": file.id, "name": file.name, "tokens": tokens})
        return kept

    async def contents(
        self, user_id: str, parts: Sequence[Mapping[str, Any]], *, vision: bool
    ) -> list[dict[str, Any]]:
        """What a model gets of files and pictures: texts as named blocks, pictures as data URLs.

        What was deleted since, or what this model does not see, is named: nobody wonders what the
        question speaks of.
        """
        found = await self._files.attached(
            user_id, [part["file_id"] for part in parts if part.get("file_id")]
        )
        contents: list[dict[str, Any]] = []
        for part in parts:
            file = found.get(part.get("file_id") or "")
            if file is not None and file.text is not None:
                contents.append({"type": "text", "text": f'<file name="{file.name}">\n{file.text}\n</file>'})
            elif file is not None and vision:
                url = await self._files.data_url(file)
                contents.append({"type": "image_url", "image_url": {"url": url}})
            else:
                name = file.name if file is not None else part.get("name") or "unnamed"
                contents.append({"type": "text", "text": f"[{part['type']} not available: {name}]"})
        return contents


def sees(model: Resolved) -> bool:
    """Whether a model takes pictures."""
    return "vision" in (model.setup.meta.get("capabilities") or model.model.capabilities)
