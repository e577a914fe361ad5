"""PDFs that lie, written by hand: no library makes them."""

from __future__ import annotations

import zlib

_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_ONE_PAGE = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R %s >>"
_DRAWN_BY_A_FORM = _PAGE % b"/Resources << /XObject << /X 5 0 R >> >>"
_SELF_DRAWN = b"/Type /XObject /Subtype /Form /Resources << /XObject << /X 5 0 R >> >>"


def _pdf(*objects: bytes) -> bytes:
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + head + table + end


def _stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), more, data)


def _packed(data: bytes) -> bytes:
    return _stream(zlib.compress(data, 1), b"/Filter /FlateDecode")


#: what each is, and what is said of it
HOSTILE: dict[str, tuple[bytes, str]] = {
    "pages in a circle": (
        _pdf(_CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"),
        "damaged",
    ),
    "a page without end": (
        _pdf(
            _CATALOG,
            b"<< /Type /Pages /Kids [%b] /Count 200000 >>" % (b"3 0 R " * 200_000),
            _PAGE % b"",
            _stream(b"BT (x) Tj ET"),
        ),
        "damaged|more than 5,000 pages",
    ),
    "a count that is not so": (
        _pdf(
            _CATALOG,
            b"<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>",
            _PAGE % b"",
            _stream(b"BT (x) Tj ET"),
        ),
        "pictures of its pages|more than 5,000 pages",
    ),
    "lists in lists": (
        _pdf(_CATALOG, b"<< /Type /Pages /Kids %b%b /Count 1 >>" % (b"[" * 100_000, b"]" * 100_000)),
        "damaged",
    ),
    "lists in lists of a page": (
        _pdf(_CATALOG, _ONE_PAGE, _PAGE % b"", _stream(b"[" * 200_000)),
        "damaged|pictures of its pages",
    ),
    "a page that unpacks to a hundred megabytes": (
        _pdf(_CATALOG, _ONE_PAGE, _PAGE % b"", _packed(b" " * 100_000_000)),
        "damaged|pictures of its pages|too much memory",
    ),
    "a form that draws itself": (
        _pdf(
            _CATALOG,
            _ONE_PAGE,
            _DRAWN_BY_A_FORM,
            _stream(b"/X Do"),
            _stream(b"/X Do /X Do", _SELF_DRAWN),
        ),
        "damaged|pictures of its pages",
    ),
}
