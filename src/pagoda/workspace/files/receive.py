"""Taking in the body of an upload: onto the disk, piece by piece, and no more than allowed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from pagoda.workspace.errors import WorkspaceError

LONGEST_NAME = 150
_IN_MEMORY = 1 << 20
_FORM_BYTES = 64 << 10  #: what a form may need around its file
_BAD = re.compile(r'[/\\:*?"<>|]')


@dataclass(frozen=True, slots=True)
class Received:
    """A body on its way; `file` is closed by `received`. name: as `clean_name` makes it."""

    name: str
    media_type: str
    file: BinaryIO


@asynccontextmanager
async def received(request: Request, limit: int, *, bare: bool = False) -> AsyncIterator[Received]:
    """The one file of a form, or, where `bare`, the body as it is.

    Raises WorkspaceError 413, as early as it is known, or 400.
    """
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limit + _FORM_BYTES:
        raise _too_large(limit)
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        if not bare:
            raise WorkspaceError(400, "Send the file in a form (multipart/form-data).", param="file")
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
            async for piece in _limited(request, limit):
                body.write(piece)
            body.seek(0)
            yield Received("upload", kind.partition(";")[0].strip(), cast(BinaryIO, body))
        return
    parser = MultiPartParser(
        Headers(scope=request.scope), _limited(request, limit), max_files=1, max_fields=8
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise WorkspaceError(400, f"The upload is not a form with one file: {error.message}") from error
    try:
        upload = next((each for _, each in form.multi_items() if isinstance(each, UploadFile)), None)
        if upload is None:
            raise WorkspaceError(400, "The form holds no file.", param="file")
        if (upload.size or 0) > limit:
            raise _too_large(limit)
        yield Received(clean_name(upload.filename or ""), upload.content_type or "", upload.file)
    finally:
        await form.close()


def clean_name(name: str) -> str:
    """Of a file as it is shown and saved: no path, nothing invisible, not too long."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C")
    name = " ".join(_BAD.sub("_", name).split()).strip(". ") or "file"
    if len(name) <= LONGEST_NAME:
        return name
    stem, dot, end = name.rpartition(".")
    if not dot or len(end) > 16:
        return name[:LONGEST_NAME]
    return f"{stem[: LONGEST_NAME - len(end) - 1]}.{end}"


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    seen = 0
    async for piece in request.stream():
        seen += len(piece)
        if seen > limit + _FORM_BYTES:
            raise _too_large(limit)
        yield piece


def _too_large(limit: int) -> WorkspaceError:
    megabytes = max(1, limit // 1_000_000)
    return WorkspaceError(
        413,
        f"This is larger than the {megabytes} MB that are allowed.",
        param="file",
        code="too_large",
        values={"megabytes": megabytes},
    )
