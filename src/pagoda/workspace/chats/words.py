"""Words as the search sees them: letters without marks and case, Chinese, Japanese and Korean by character.

The same segmentation serves the index, the query and the excerpt, so that what is found is what is marked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HIT_BEGINS, HIT_ENDS = "\u0001", "\u0002"  #: around hits in excerpts
LONGEST_TEXT = 200_000  #: characters of a message that are indexed
MOST_WORDS = 24  #: of a query
_TITLE = 48  #: characters of a title made of the first words
_BEFORE, _EXCERPT = 60, 220  #: characters of an excerpt: before the first hit, and in all

# Kana, CJK ideographs (with compatibility forms and the supplementary planes), Hangul syllables.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"[^\W_{_CJK}]"
_WORD = re.compile(rf"(?=[^\W_])[{_CJK}]|{_LETTER}+")
_CHARACTER = re.compile(rf"[{_CJK}]")
_CHUNK = re.compile(r'"([^"]*)"?|([^\s"]+)')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _Folding(dict[int, int]):
    """Character -> the one it is searched as; the length of a text does not change."""

    def __missing__(self, code: int) -> int:
        letters = [
            each for each in unicodedata.normalize("NFKD", chr(code)) if not unicodedata.combining(each)
        ]
        plain = "".join(letters).casefold()
        folded = ord(plain) if len(plain) == 1 and not 0xAC00 <= code <= 0xD7AF else code
        self[code] = folded
        return folded


def text_of(parts: Sequence[Mapping[str, Any]]) -> str:
    """What a search looks at: text, not reasoning."""
    return "\n\n".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")


def first_words(text: str) -> str:
    """A title of the first words."""
    line = " ".join(text.split())
    if len(line) <= _TITLE:
        return line
    cut = line[:_TITLE]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > _TITLE // 2 else cut) + "…"


def words_of(text: str) -> list[str]:
    """What is indexed of a text."""
    return _WORD.findall(_folded(unicodedata.normalize("NFC", text[:LONGEST_TEXT])))


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand side by side. prefix: the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


def parse_query(query: str) -> list[Phrase]:
    """Words and "phrases", all of which must be found. The last word may be unfinished, while it is typed.

    Nothing in a query is syntax but the quotation mark; what has no letters is left out.
    """
    phrases: list[Phrase] = []
    left = MOST_WORDS
    for match in _CHUNK.finditer(query):
        quoted = match[1] is not None
        words = tuple(words_of(match[1] if quoted else match[2]))[:left]
        if not words:
            continue
        left -= len(words)
        last = match.end() == len(query) and not quoted
        phrases.append(Phrase(words, prefix=last and not _CHARACTER.match(words[-1])))
    return phrases


def excerpt(text: str, phrases: list[Phrase]) -> str:
    """A part of the text around its first hit, with HIT_BEGINS and HIT_ENDS around each, on one line."""
    text = _CONTROL.sub(" ", unicodedata.normalize("NFC", text[:LONGEST_TEXT]))
    pattern = re.compile("|".join(_pattern(phrase) for phrase in phrases))
    folded = _folded(text)
    first = pattern.search(folded)
    begin = max(0, first.start() - _BEFORE) if first else 0
    if begin:  # not in the middle of a word, where there are blanks
        blank = text.find(" ", begin, first.start() if first else begin)
        begin = blank + 1 if blank >= 0 else begin
    end = min(len(text), begin + _EXCERPT)
    pieces, at = [], begin
    for match in pattern.finditer(folded, begin, end):
        pieces += [
            text[at : match.start()],
            HIT_BEGINS,
            match[0] and text[match.start() : match.end()],
            HIT_ENDS,
        ]
        at = match.end()
    line = " ".join("".join([*pieces, text[at:end]]).split())
    return f"{'…' if begin else ''}{line}{'…' if end < len(text) else ''}"


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_Folding())


def _pattern(phrase: Phrase) -> str:
    found = []
    for number, word in enumerate(phrase.words):
        if _CHARACTER.match(word):
            found.append(word)
            continue
        open_end = phrase.prefix and number == len(phrase.words) - 1
        found.append(
            rf"(?<!{_LETTER}){re.escape(word)}" + (rf"{_LETTER}*" if open_end else rf"(?!{_LETTER})")
        )
    return r"[\W_]*".join(found)
