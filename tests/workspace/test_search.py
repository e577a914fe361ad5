"""Searching: words, phrases, Chinese, marks around hits, and nobody else's chats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from tests.workspace.conftest import ADMIN, USER, House, open_house

from pagoda.workspace.chats.words import (
    HIT_BEGINS,
    HIT_ENDS,
    MOST_WORDS,
    Phrase,
    excerpt,
    parse_query,
    words_of,
)
from pagoda.workspace.storage.tables import Chat, Message

TEXTS = {
    "english": "The quick brown Fox jumps over the lazy dog's back.",
    "chinese": "量子计算机使用量子比特，而GPU显存有限。",
    "french": "Le café crème, déjà vu; naïve straße",
    "code": "def read_file(path): return open(path).read()  # O'Brien; DROP TABLE chat",
}


async def fill(house: House, client: httpx.AsyncClient, texts: dict[str, str] = TEXTS) -> str:
    user: str = (await client.get("/api/me")).json()["id"]
    async with house.workspace.database.write() as session:
        for title, body in texts.items():
            chat = Chat(user_id=user, title=title)
            session.add(chat)
            await session.flush()
            session.add(Message(chat_id=chat.id, role="user", parts=[], text=body))
    return user


async def find(client: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    response = await client.get("/api/search", params={"q": query})
    assert response.status_code == 200, response.text
    hits: list[dict[str, Any]] = response.json()["hits"]
    return hits


async def titles(client: httpx.AsyncClient, query: str) -> set[str]:
    return {hit["title"] for hit in await find(client, query)}


QUERIES = [
    ("fox quick", {"english"}),
    ('"brown fox"', {"english"}),
    ('"fox brown"', set()),
    ("qui", {"english"}),  # unfinished
    ("qui ", set()),
    ("dog's", {"english"}),
    ("量子", {"chinese"}),
    ("计算", {"chinese"}),
    ("子量", set()),
    ("gpu显存", {"chinese"}),
    ("显存 量子", {"chinese"}),
    ("CAFE deja", {"french"}),
    ("café", {"french"}),
    ("read_file", {"code"}),
    ("open(path)", {"code"}),
    ("O'Brien; DROP TABLE", {"code"}),
    ("nothing", set()),
    ("", set()),
    ("?!", set()),
]


async def test_words_and_phrases_are_found(house: House) -> None:
    async with house.signed_in() as ada:
        await fill(house, ada)
        for query, wanted in QUERIES:
            assert await titles(ada, query) == wanted, query


HOSTILE = [
    '"',
    '"""',
    "AND",
    "fox NOT dog",
    "NEAR(a b)",
    "*",
    "words:fox",
    "owner : x OR fox",
    "a OR b",
    "^fox",
    "fox & !dog | (",
    "'; DELETE FROM chat; --",
    ":* <-> |",
    "\\ % _ \x00 \ud7ff",
    "fox" * 150,
    "a " * 240,
]


async def test_no_query_breaks_the_search(house: House) -> None:
    async with house.signed_in() as ada:
        await fill(house, ada)
        for query in HOSTILE:
            await find(ada, query)
        assert await titles(ada, "fox NOT dog") == set()  # three words, not an operator
        assert (await ada.get("/api/search", params={"q": "x" * 501})).status_code == 400
        assert await titles(ada, "fox") == {"english"}


async def test_titles_come_first_and_hits_are_marked(house: House) -> None:
    async with house.signed_in() as ada:
        await fill(house, ada, {"Foxes and hounds": "nothing", "other": "A fox. " + "x " * 300 + "FOX"})
        hits = await find(ada, "fox")
        assert [(hit["title"], hit["message_id"] is None) for hit in hits] == [
            ("Foxes and hounds", True),
            ("other", False),
        ]
        assert hits[0]["excerpt"] == f"{HIT_BEGINS}Foxes{HIT_ENDS} and hounds"
        assert hits[1]["excerpt"].startswith(f"A {HIT_BEGINS}fox{HIT_ENDS}. x")
        assert hits[1]["role"] == "user"
        assert hits[1]["archived"] is False


async def test_the_index_follows_what_is_written_renamed_and_deleted(house: House) -> None:
    async with house.signed_in() as ada:
        chat = (await ada.post("/api/chats", json={})).json()["id"]
        body = {"parts": [{"type": "text", "text": "What is a zebra?"}], "models": ["fake"]}
        started = (await ada.post(f"/api/chats/{chat}/generate", json=body)).json()
        await ada.get(f"/api/generations/{started['generations'][0]['id']}/events")
        assert {hit["role"] for hit in await find(ada, "zebra")} == {None, "user"}
        assert [hit["role"] for hit in await find(ada, "hello world")] == ["assistant"]
        await ada.patch(f"/api/chats/{chat}", json={"title": "Stripes"})
        assert {hit["role"] for hit in await find(ada, "zebra")} == {"user"}
        assert [hit["message_id"] for hit in await find(ada, "stripes")] == [None]
        await ada.delete(f"/api/messages/{started['generations'][0]['message']['id']}")
        assert await find(ada, "hello") == []
        await ada.delete(f"/api/chats/{chat}")
        assert await find(ada, "zebra") == []


async def test_one_chat_does_not_fill_the_page(house: House) -> None:
    async with house.signed_in() as ada:
        user = await fill(house, ada, {"rare": "needle"})
        async with house.workspace.database.write() as session:
            chat = Chat(user_id=user, title="often")
            session.add(chat)
            await session.flush()
            session.add_all(
                Message(chat_id=chat.id, role="user", parts=[], text=f"needle {n}") for n in range(100)
            )
        found = [hit["title"] for hit in await find(ada, "needle")]
        assert sorted(found) == ["often", "often", "often", "rare"]


async def test_nobody_finds_what_others_wrote(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as visitor:
        await grace.post("/api/auth/signup", json=USER)
        owner = await fill(house, ada)
        for query in ("fox", "english", f"owner:{owner}", owner.encode().hex()):
            assert await find(grace, query) == []
        assert (await visitor.get("/api/search", params={"q": "fox"})).status_code == 401


async def test_an_index_that_is_missing_is_made(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        await fill(house, ada)
        async with house.workspace.database.write() as session:
            await session.execute(text("DROP TABLE search_entry"))
            if house.workspace.database.is_sqlite:
                await session.execute(text("DROP TABLE search_fts"))
    async with open_house(tmp_path) as house, house.signed_in(ADMIN) as ada:
        assert await titles(ada, "量子") == {"chinese"}
        assert await titles(ada, "french") == {"french"}


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("one two", [Phrase(("one",)), Phrase(("two",), prefix=True)]),
        ('"one two', [Phrase(("one", "two"))]),
        ('one"two three"four', [Phrase(("one",)), Phrase(("two", "three")), Phrase(("four",), prefix=True)]),
        ("量子 ab", [Phrase(("量", "子")), Phrase(("ab",), prefix=True)]),
    ],
)
def test_queries_are_words_and_phrases(query: str, phrases: list[Phrase]) -> None:
    assert parse_query(query) == phrases


@given(st.text(max_size=60))
def test_queries_hold_letters_alone(query: str) -> None:
    phrases = parse_query(query)
    assert sum(len(phrase.words) for phrase in phrases) <= MOST_WORDS
    assert all(word.isalnum() for phrase in phrases for word in phrase.words)


@given(st.text(alphabet="aB é量子.\n\u0001ß", min_size=1, max_size=400), st.integers(0, 399))
def test_every_word_of_a_text_is_marked_in_its_excerpt(body: str, number: int) -> None:
    words = words_of(body)
    if not words:
        return
    word = words[number % len(words)]
    found = excerpt(body, [Phrase((word,))])
    assert found.count(HIT_BEGINS) == found.count(HIT_ENDS) >= 1
    assert words_of(found.split(HIT_BEGINS)[1].split(HIT_ENDS)[0]) == [word]


def test_excerpts_begin_near_the_hit() -> None:
    body = "word " * 500 + "needle " + "tail " * 500
    found = excerpt(body, [Phrase(("needle",))])
    assert found.startswith("…word ")
    assert found.endswith("…")
    assert len(found) < 240
