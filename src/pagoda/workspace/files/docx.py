"""The text of a DOCX: a ZIP archive with word/document.xml (ECMA-376, part 1, 17)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from zipfile import BadZipFile, LargeZipFile, ZipFile

from pagoda.workspace.files.worker_process import RefusedError

LARGEST_XML = 50_000_000  #: bytes, unpacked
_DOCUMENT = "word/document.xml"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PIECE = 1 << 16
_DAMAGED = "This DOCX is damaged and cannot be read."


def text_of_docx(path: Path) -> str:
    """Paragraphs as lines; the cells of a table's row with tabs between. Raises RefusedError."""
    try:
        with ZipFile(path) as archive:
            if _DOCUMENT not in archive.namelist():
                raise RefusedError("This file is an archive, but not a DOCX.", "docx_none")
            if archive.getinfo(_DOCUMENT).flag_bits & 1:
                raise RefusedError("This DOCX is locked with a password.", "docx_locked")
            return _read(archive)
    except (
        BadZipFile,
        LargeZipFile,
        NotImplementedError,
        EOFError,
        OSError,
        ParseError,
        ValueError,
    ) as error:
        raise RefusedError(_DAMAGED, "docx_damaged") from error
    except Exception as error:
        # zlib's and lzma's errors have no common ancestor.
        if type(error).__module__ in ("zlib", "_lzma"):
            raise RefusedError(_DAMAGED, "docx_damaged") from error
        raise


def _read(archive: ZipFile) -> str:
    """Piece by piece: what is declared of an archive's sizes need not be true."""
    text = _Text()
    seen = 0
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    with archive.open(_DOCUMENT) as file:
        while piece := file.read(_PIECE):
            seen += len(piece)
            if seen > LARGEST_XML:
                raise RefusedError(
                    f"This DOCX unpacks to more than {LARGEST_XML // 1_000_000} MB.",
                    "docx_large",
                    megabytes=LARGEST_XML // 1_000_000,
                )
            if b"<!DOCTYPE" in piece:
                raise RefusedError(
                    _DAMAGED, "docx_damaged"
                )  # Word writes none; entities could make it grow without end
            parser.feed(piece)
            for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
                text.take(event, element.tag, element.text)
                if event == "end":
                    element.clear()
    parser.close()
    return text.done()


class _Text:
    """Collects the text of a stream of elements."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._cells = 0

    def take(self, event: object, tag: str, text: str | None) -> None:
        name = tag.removeprefix(_W)
        if event == "start":
            self._cells += name == "tc"
        elif name == "t":
            self._pieces.append(text or "")
        elif name == "tab":
            self._pieces.append("\t")
        elif name in ("br", "cr"):
            self._pieces.append("\n")
        elif name == "p":
            self._pieces.append(" " if self._cells else "\n")
        elif name == "tc":
            self._cells -= 1
            self._pieces.append("\t")
        elif name == "tr":
            self._pieces.append("\n")

    def done(self) -> str:
        lines = "".join(self._pieces).split("\n")
        return "\n".join(line.rstrip() for line in lines)
