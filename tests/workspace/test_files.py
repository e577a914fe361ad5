"""Uploads: text read out of documents, hostile files refused in one sentence, bytes for their owner alone."""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import docx
import httpx
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workspace.conftest import USER, House
from tests.workspace.hostile_pdfs import HOSTILE

from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.files import extract as extraction
from pagoda.workspace.files.receive import LONGEST_NAME, clean_name
from pagoda.workspace.files.worker import Workers
from pagoda.workspace.files.worker_process import RefusedError

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


def make_pdf(text: str = "", password: str | None = None) -> bytes:
    """One page with a line of text, or an empty one."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    if text:
        from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def make_docx() -> bytes:
    document = docx.Document()
    document.add_heading("报告", 1)
    document.add_paragraph("First line.")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "a", "b"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def make_zip(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def lying_zip() -> bytes:
    """Declares that its document is ten bytes long."""
    data = bytearray(make_zip("word/document.xml", b"<w>" + b"a" * 5000 + b"</w>"))
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")
    return bytes(data)


BOMB = make_zip("word/document.xml", b"<w>" + b" " * 60_000_000 + b"</w>")
ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><w>&b;</w>"""

GOOD: list[tuple[str, bytes, str, str | None]] = [
    ("notes.txt", b"Zeile\r\nzwei\r\n", "text/plain", "Zeile\nzwei"),
    ("bom.txt", "\ufeff你好".encode(), "text/plain", "你好"),
    ("utf16.txt", "你好".encode("utf-16"), "text/plain", "你好"),
    ("gb.txt", "你好，世界".encode("gb18030"), "text/plain", "你好，世界"),
    ("a.md", b"# Title", "text/markdown", "# Title"),
    ("a.csv", b"x,y\n1,2", "text/csv", "x,y\n1,2"),
    ("a.json", b'{"a": 1}', "application/json", '{"a": 1}'),
    ("a.py", b"print('x')\x1b[0m", "text/plain", "print('x')\x1b[0m"),
    ("a.pdf", make_pdf("Hello from a page"), "application/pdf", "Hello from a page"),
    ("no-ending", make_pdf("Seen by its bytes"), "application/pdf", "Seen by its bytes"),
    ("owner.pdf", make_pdf("Opens without", ""), "application/pdf", "Opens without"),
    ("a.docx", make_docx(), extraction.DOCX, "报告\nFirst line.\na \tb"),
    ("a.png", PNG, "image/png", None),
    ("really-a-picture.txt", PNG, "image/png", None),
]

BAD = [
    ("a.pdf", b"<html>not a pdf</html>", "named .pdf, but it is not"),
    ("a.pdf", b"%PDF-1.7\n" + b"lies " * 100, "damaged"),
    ("a.pdf", make_pdf("x" * 50)[:300], "damaged"),
    ("a.pdf", make_pdf("secret", "password"), "locked with a password"),
    ("a.pdf", make_pdf(), "pictures of its pages"),
    ("a.docx", b"not a zip", "damaged"),
    ("a.docx", make_docx()[:-200], "damaged"),
    ("a.zip", make_zip("a.txt", b"x"), "an archive, but not a DOCX"),
    ("a.docx", BOMB, "unpacks to more than 50 MB"),
    ("a.docx", lying_zip(), "damaged"),
    ("a.docx", make_zip("word/document.xml", ENTITIES), "damaged"),
    ("a.docx", make_zip("word/document.xml", b"<w"), "damaged"),
    ("a.exe", b"MZ\x00\x01\x02", "neither text"),
    ("a.txt", b"\xff\xff\xff\xff", "neither text"),
    ("a.txt", b"  \n ", "no text"),
    ("a.txt", b"x" * (extraction.MOST_CHARACTERS + 1), "more text than 2,000,000"),
]


@pytest.mark.parametrize(("name", "data", "media_type", "text"), GOOD)
def test_text_is_read(name: str, data: bytes, media_type: str, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert extraction.extract(str(path), name) == {"media_type": media_type, "text": text}


@pytest.mark.parametrize(("name", "data", "reason"), BAD)
def test_what_cannot_be_read_has_a_reason(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(RefusedError, match=reason):
        extraction.extract(str(path), name)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_pdf_that_lies_is_refused_within_the_workers_limits(name: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[name]
    (tmp_path / "file").write_bytes(data)
    workers = Workers(30.0, 1 << 30, asyncio.Semaphore(1))
    with pytest.raises(WorkspaceError, match=reason):
        await workers.run("pagoda.workspace.files.extract", [str(tmp_path / "file"), "a.pdf"], "file")


async def send(client: httpx.AsyncClient, name: str, data: bytes, **query: str) -> httpx.Response:
    return await client.post("/api/files", params=query, files={"file": (name, data, "text/html")})


async def test_a_file_is_kept_described_given_back_and_deleted(house: House, tmp_path: Path) -> None:
    data = "Ein Wörtchen oder zwei".encode()
    async with house.signed_in() as ada:
        made = (await send(ada, "../../etc/Wörter.txt", data, model="fake")).json()
        assert made["name"] == "Wörter.txt"
        assert (made["media_type"], made["size"], made["tokens"]) == ("text/plain", len(data), 4)
        path = f"/api/files/{made['id']}"
        again = (await ada.get(path)).json()
        assert again == {**made, "tokens": None}  # nobody was asked to count
        content = await ada.get(f"{path}/content")
        assert content.content == data
        assert content.headers["content-type"] == "application/octet-stream"
        assert content.headers["content-disposition"].startswith("attachment;")
        assert content.headers["x-content-type-options"] == "nosniff"
        [kept] = (tmp_path / "files").iterdir()
        assert kept.stat().st_mode & 0o077 == 0
        assert hashlib.sha256(kept.read_bytes()).digest() == hashlib.sha256(data).digest()
        assert (await ada.delete(path)).status_code == 200
        assert (await ada.get(path)).status_code == 404
        assert list((tmp_path / "files").iterdir()) == []


async def test_bad_files_leave_nothing(house: House, tmp_path: Path) -> None:
    async with house.signed_in() as ada:
        for name, data in (("a.docx", BOMB), ("a.pdf", make_pdf("x", "secret")), ("a.txt", b"")):
            response = await send(ada, name, data)
            assert response.status_code == 400
            message = response.json()["error"]["message"]
            assert message.endswith(".")
            assert "\n" not in message
        assert list((tmp_path / "files").iterdir()) == []
        assert (await send(ada, "a.txt", b"The next one is taken.")).status_code == 200
        assert (await ada.post("/api/files", data={"file": "text"})).status_code == 400
        broken = {"content-type": "multipart/form-data"}
        assert (await ada.post("/api/files", content=b"x", headers=broken)).status_code == 400


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "<script>alert(1)</script>.txt"])
async def test_scripts_in_files_and_their_names_are_data(name: str, house: House) -> None:
    page = b"<html><svg onload='alert(1)'><script>alert(1)</script></svg></html>"
    async with house.signed_in() as ada:
        made = (await send(ada, name, page)).json()
        assert made["media_type"] == "text/plain"  # whatever its sender said
        assert not set(made["name"]) & set('<>"/')
        headers = (await ada.get(f"/api/files/{made['id']}/content")).headers
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert not set(headers["content-disposition"]) & set('<>"')
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert headers["x-content-type-options"] == "nosniff"


async def test_large_uploads_are_refused_before_they_have_come(house: House) -> None:
    house.workspace.files.limit = 1_000_000
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while taken < 1 << 30:
            taken += 1 << 16
            yield b"a" * (1 << 16)

    form = {"content-type": "multipart/form-data; boundary=x"}
    async with house.signed_in() as ada:
        declared = {**form, "content-length": str(1 << 30)}
        response = await ada.post("/api/files", content=body(), headers=declared)
        assert response.status_code == 413
        assert response.json()["error"]["message"] == "This is larger than the 1 MB that are allowed."
        taken = 0
        response = await ada.post("/api/files", content=body(), headers=form)  # in chunks: no length
        assert response.status_code == 413
        assert (await send(ada, "a.txt", b"a" * 1_000_001)).status_code == 413
        assert (await send(ada, "a.txt", b"a" * 1_000_000)).status_code == 200


async def test_nobody_reaches_files_that_are_not_theirs(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as visitor:
        await grace.post("/api/auth/signup", json=USER)
        made = (await send(ada, "a.txt", b"secret")).json()
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            url = f"/api/files/{made['id']}{path}"
            assert (await grace.request(method, url)).status_code == 404
            assert (await visitor.request(method, url)).status_code == 401
        assert (await visitor.post("/api/files", files={"file": ("a", b"x")})).status_code == 401
        assert (await grace.get("/api/files/..%2fworkspace.db/content")).status_code == 404


async def test_the_server_itself_loads_no_reader_of_documents(house: House) -> None:
    before = set(sys.modules)
    async with house.signed_in() as ada:
        assert (await send(ada, "a.pdf", make_pdf("text"))).status_code == 200
        assert (await send(ada, "a.docx", make_docx())).status_code == 200
    assert not {each for each in set(sys.modules) - before if each.startswith(("pypdf", "docx"))}


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("while True: pass", "too long"),
        ("list(range(1 << 40))", "too much memory"),
        ("os._exit(1)", "memory"),
    ],
)
async def test_a_worker_that_runs_away_is_ended(
    work: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (
        "import os\nfrom pagoda.workspace.files.worker_process import serve_once\n"
        f"def work():\n    {work}\n    return {{}}\nserve_once(work)\n"
    )
    (tmp_path / "runs_away.py").write_text(lines)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    workers = Workers(1.0, 1 << 30, asyncio.Semaphore(1))
    with pytest.raises(WorkspaceError, match=reason):
        await workers.run("runs_away", [], "file")


@given(st.text(max_size=300))
def test_names_are_safe(name: str) -> None:
    found = clean_name(name)
    assert found == clean_name(found)
    assert 0 < len(found) <= LONGEST_NAME
    assert found.isprintable() or " " in found
    assert not set(found) & set('/\\:*?"<>|\x00')
    assert found not in (".", "..")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("C:\\Users\\x\\a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("<img src=x onerror=alert(1)>.txt", "_img src=x onerror=alert(1)_.txt"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("..", "file"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
        ("报告 2024.docx", "报告 2024.docx"),
    ],
)
def test_names_are_cleaned(name: str, clean: str) -> None:
    assert clean_name(name) == clean
