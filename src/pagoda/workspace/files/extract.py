"""A worker: finds out what a file is, by its bytes before its name, and reads its text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pagoda.workspace.files.worker_process import RefusedError, serve_once

MOST_CHARACTERS = 2_000_000
MOST_PAGES = 5_000
_HEAD = 1024
_IMAGES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.S), "image/webp"),
)
_TEXT_TYPES = {".csv": "text/csv", ".json": "application/json", ".md": "text/markdown"}
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
#: of files with text
MEDIA_TYPES = frozenset((*_TEXT_TYPES.values(), "text/plain", PDF, DOCX))


def extract(path: str, name: str) -> dict[str, Any]:
    """{"media_type", "text"}; text is null for a picture. Raises RefusedError."""
    file = Path(path)
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    ending = Path(name).suffix.lower()
    if (picture := picture_type(head)) is not None:
        return {"media_type": picture, "text": None}
    if b"%PDF-" in head:
        media_type, text = PDF, _pdf(path)
    elif ending == ".pdf":
        raise RefusedError("This file is named .pdf, but it is not a PDF.", "pdf_none")
    elif head.startswith(b"PK\x03\x04") or ending == ".docx":
        from pagoda.workspace.files.docx import text_of_docx

        media_type, text = DOCX, text_of_docx(file)
    else:
        media_type, text = _TEXT_TYPES.get(ending, "text/plain"), _plain(file.read_bytes())
    text = text.replace("\x00", "").strip("\n")
    if not text.strip():
        raise RefusedError("There is no text in this file.", "file_no_text")
    if len(text) > MOST_CHARACTERS:
        raise RefusedError(
            f"This file holds more text than {MOST_CHARACTERS:,} characters.",
            "file_text",
            count=MOST_CHARACTERS,
        )
    return {"media_type": media_type, "text": text}


def picture_type(head: bytes) -> str | None:
    """The media type of what begins so; None for what is no picture."""
    return next((media_type for magic, media_type in _IMAGES if magic.match(head)), None)


def _plain(data: bytes) -> str:
    """Text in UTF-8, UTF-16 with its mark, or GB 18030, with line ends as \\n."""
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _CONTROL.search(text):
            break
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise RefusedError(
        "This file is neither text (UTF-8, UTF-16, GB 18030) nor PDF, DOCX or a picture.", "file_kind"
    )


def _pdf(path: str) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    pages: list[str] = []
    size = 0
    try:
        reader = PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise RefusedError("This PDF is locked with a password.", "pdf_locked")
        if len(reader.pages) > MOST_PAGES:
            raise RefusedError(f"This PDF has more than {MOST_PAGES:,} pages.", "pdf_pages", count=MOST_PAGES)
        for page in reader.pages:
            pages.append(page.extract_text().strip())
            size += len(pages[-1])
            if size > MOST_CHARACTERS:
                break
    except (RefusedError, MemoryError, RecursionError):
        raise
    except (PyPdfError, Exception) as error:  # a broken file breaks its reader anywhere
        raise RefusedError("This PDF is damaged and cannot be read.", "pdf_damaged") from error
    if not any(pages):
        raise RefusedError("This PDF holds pictures of its pages alone, and no text.", "pdf_pictures")
    return "\n\n".join(page for page in pages if page)


if __name__ == "__main__":
    serve_once(extract)
