"""Chats with the files that they speak of, as a ZIP archive.

chats.json is the own format. For each file there are files/ID/about.json, {"name", "media_type", "text"}, and
files/ID/content; ID is what the parts of messages have as `file_id`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import zlib
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo, is_zipfile

from pagoda.workspace.files.extract import MEDIA_TYPES, MOST_CHARACTERS, picture_type
from pagoda.workspace.files.worker_process import RefusedError

CHATS = "chats.json"
_CHATGPTS = "conversations.json"  #: where ChatGPT's export has its chats
MOST_UNPACKED = 2_000_000_000  #: bytes of all files
_ABOUT, _CONTENT = "files/{}/about.json", "files/{}/content"
_MOST_ABOUT = 6 * MOST_CHARACTERS + 10_000  #: bytes; a character may take six of them in JSON
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_PIECE = 1 << 20


class Packer:
    """Writes an archive piece by piece; each method gives the bytes that are ready."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = ZipFile(self._sink, "w", ZIP_DEFLATED, compresslevel=4)

    async def chats(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self._zip.open(CHATS, "w", force_zip64=True) as entry:
            async for piece in pieces:
                await asyncio.to_thread(entry.write, piece)  # it packs
                yield self._sink.take()

    def file(self, file_id: str, about: dict[str, Any], content: Path) -> Iterator[bytes]:
        """Reads a disk: for a thread. Nothing for a file whose bytes are gone."""
        try:
            source = content.open("rb")
        except FileNotFoundError:
            return
        with source:
            self._zip.writestr(_ABOUT.format(file_id), json.dumps(about))
            info = ZipInfo(_CONTENT.format(file_id))
            info.compress_type = ZIP_STORED  # most are packed already
            with self._zip.open(info, "w", force_zip64=True) as entry:
                while piece := source.read(_PIECE):
                    entry.write(piece)
                    yield self._sink.take()

    def end(self) -> bytes:
        self._zip.close()
        return self._sink.take()


class _Sink:
    """A file that is taken away as it grows."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes, /) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


class Archive:
    """An archive to read; whatever is wrong with it is a RefusedError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @staticmethod
    def is_one(path: Path) -> bool:
        return is_zipfile(path)

    def chats(self, most: int) -> bytes:
        with _opened(self._path) as archive:
            names = archive.namelist()
            found = next((name for name in (CHATS, _CHATGPTS) if name in names), None)
            if found is None:
                message = f"The archive holds no {CHATS}; it is not one of Pagoda's or ChatGPT's."
                raise RefusedError(message, "import_unknown")
            return _read(archive, found, most)

    def unpack(self, wanted: Collection[str], folder: Path, most: int) -> Iterator[dict[str, Any]]:
        """Writes the wanted files that it holds into the folder; what is told of each has its `id`, `place`
        there, `size` and `sha256`. most: bytes of one file. Files that are not what they say are left out.
        """
        left = MOST_UNPACKED
        with _opened(self._path) as archive:
            names = set(archive.namelist())
            for number, file_id in enumerate(wanted):
                content, about = _CONTENT.format(file_id), _ABOUT.format(file_id)
                if not _ID.fullmatch(file_id) or content not in names or about not in names:
                    continue
                told = _json(_read(archive, about, _MOST_ABOUT))
                place = folder / f"file{number}"
                size, sha256 = _copy(archive, content, place, min(most, left))
                left -= size
                with place.open("rb") as file:
                    found = _described(told, file.read(64))
                if found is not None:
                    yield {**found, "id": file_id, "place": place.name, "size": size, "sha256": sha256}


def _described(told: Any, head: bytes) -> dict[str, Any] | None:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        return None
    if (picture := picture_type(head)) is not None:
        return {"name": told["name"], "media_type": picture, "text": None}
    media_type, text = told.get("media_type"), told.get("text")
    if media_type not in MEDIA_TYPES or not isinstance(text, str) or not 0 < len(text) <= MOST_CHARACTERS:
        return None
    return {"name": told["name"], "media_type": media_type, "text": text}


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as archive:
            yield archive
    except (BadZipFile, LargeZipFile, NotImplementedError, EOFError, RuntimeError, zlib.error) as error:
        raise RefusedError("The archive is damaged, or locked with a password.", "import_archive") from error


def _read(archive: ZipFile, name: str, most: int) -> bytes:
    """No more than allowed: what an archive declares of its sizes need not be true."""
    with archive.open(name) as entry:
        data = entry.read(most + 1)
    if len(data) > most:
        megabytes = most // 1_000_000
        message = f"{name} in the archive is larger than {megabytes} MB."
        raise RefusedError(message, "too_large", megabytes=megabytes)
    return data


def _copy(archive: ZipFile, name: str, target: Path, most: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as entry, target.open("xb") as file:
        while piece := entry.read(_PIECE):
            size += len(piece)
            if size > most:
                raise RefusedError(
                    f"A file in the archive is larger than the {most // 1_000_000} MB allowed."
                )
            digest.update(piece)
            file.write(piece)
    return size, digest.hexdigest()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
