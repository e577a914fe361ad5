"""Full-text search in one's own chats.

The index is derived: it is made from the messages where it is missing, and kept in step here alone, whenever
a session writes a chat's title or a message's text. Deleting needs nothing: the database does it with the
chat.
SQLite: FTS5; PostgreSQL: tsvector with the configuration `simple`. Both get words that `words.py` has cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, UOWTransaction

from pagoda.workspace.chats.words import Phrase, excerpt, parse_query, words_of
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, Message

LONGEST_QUERY = 500
MOST_HITS = 50
HITS_OF_CHAT = 3  #: so many messages of one chat are shown
_LOOKED_AT = 300  #: newest messages that match
_BATCH = 500  #: rows at a time while the index is made

_TITLE = text(
    "INSERT INTO search_entry (user_id, chat_id, title, words) "
    "SELECT user_id, id, :words, '' FROM chat WHERE id = :chat "
    "ON CONFLICT (chat_id) WHERE message_id IS NULL DO UPDATE SET title = excluded.title"
)
_MESSAGE = text(
    "INSERT INTO search_entry (user_id, chat_id, message_id, title, words) "
    "SELECT user_id, id, :message, '', :words FROM chat WHERE id = :chat "
    "ON CONFLICT (message_id) DO UPDATE SET words = excluded.words "
    "WHERE search_entry.words <> excluded.words"
)
_NEW_ENTRY = text(
    "INSERT INTO search_entry (user_id, chat_id, message_id, title, words) "
    "VALUES (:user, :chat, :message, :title, :words)"
)
_TABLE = (
    "CREATE TABLE search_entry ({key}, "
    'user_id {string} NOT NULL REFERENCES "user" (id) ON DELETE CASCADE, '
    "chat_id {string} NOT NULL REFERENCES chat (id) ON DELETE CASCADE, "
    "message_id {string} UNIQUE REFERENCES message (id) ON DELETE CASCADE, "
    "title TEXT NOT NULL, words TEXT NOT NULL{more})"
)
_INDEXES = (
    "CREATE UNIQUE INDEX ix_search_entry_title ON search_entry (chat_id) WHERE message_id IS NULL",
    "CREATE INDEX ix_search_entry_chat_id ON search_entry (chat_id)",
    "CREATE INDEX ix_search_entry_user_id ON search_entry (user_id)",
)
_GONE = (
    "INSERT INTO search_fts (search_fts, rowid, owner, title, words) "
    "VALUES ('delete', old.id, hex(old.user_id), old.title, old.words)"
)
_NEW = (
    "INSERT INTO search_fts (rowid, owner, title, words) "
    "VALUES (new.id, hex(new.user_id), new.title, new.words)"
)
_SQLITE = (
    _TABLE.format(key="id INTEGER PRIMARY KEY", string="VARCHAR", more=""),
    *_INDEXES,
    "CREATE VIRTUAL TABLE search_fts USING fts5(owner, title, words, content='')",
    f"CREATE TRIGGER search_entry_insert AFTER INSERT ON search_entry BEGIN {_NEW}; END",
    f"CREATE TRIGGER search_entry_delete AFTER DELETE ON search_entry BEGIN {_GONE}; END",
    f"CREATE TRIGGER search_entry_update AFTER UPDATE ON search_entry BEGIN {_GONE}; {_NEW}; END",
)
_POSTGRESQL = (
    _TABLE.format(
        key="id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        string="VARCHAR",
        more=", vector tsvector GENERATED ALWAYS AS "
        "(to_tsvector('simple'::regconfig, title || ' ' || words)) STORED",
    ),
    *_INDEXES,
    "CREATE INDEX ix_search_entry_vector ON search_entry USING gin (vector)",
)
_FOUND = (
    "SELECT chat.id AS chat_id, chat.title, chat.archived, chat.updated_at, message.id AS message_id, "
    "message.role, message.text, message.created_at FROM ({ids}) AS found "
    "JOIN search_entry ON search_entry.id = found.id JOIN chat ON chat.id = search_entry.chat_id "
    "LEFT JOIN message ON message.id = search_entry.message_id ORDER BY found.id DESC"
)
_SQLITE_IDS = (
    "SELECT rowid AS id FROM search_fts WHERE search_fts MATCH :query ORDER BY rowid DESC LIMIT :most"
)
_POSTGRESQL_IDS = (
    "SELECT id FROM search_entry WHERE user_id = :user AND vector @@ to_tsquery('simple', :query) "
    "AND (message_id IS NULL) = :titles ORDER BY id DESC LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A message, or a chat's title where message_id is None. excerpt: with the marks of `words.py`."""

    chat_id: str
    title: str
    archived: bool
    message_id: str | None
    role: str | None
    excerpt: str
    updated_at: int


class Search:
    """The index and what is found with it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def prepare(self) -> None:
        """Makes the index from the messages, where there is none."""
        async with self._db.writer.begin() as connection:
            if await connection.run_sync(lambda sync: inspect(sync).has_table("search_entry")):
                return
            for statement in _SQLITE if self._db.is_sqlite else _POSTGRESQL:
                await connection.execute(text(statement))
            await _fill(connection)

    async def find(self, user_id: str, query: str) -> list[Hit]:
        """Of one's own chats: titles first, then messages, the last written first. Raises WorkspaceError 400
        for a query that is too long.
        """
        if len(query) > LONGEST_QUERY:
            raise WorkspaceError(
                400,
                f"Search for at most {LONGEST_QUERY} characters.",
                param="q",
                code="query_length",
                values={"count": LONGEST_QUERY},
            )
        phrases = parse_query(query)
        if not phrases:
            return []
        async with self._db.read() as session:
            rows: list[Any] = []
            for titles, most in ((True, MOST_HITS // 2), (False, _LOOKED_AT)):
                if self._db.is_sqlite:
                    wanted = {"query": _fts5_query(user_id, phrases, titles), "most": most}
                    ids = _SQLITE_IDS
                else:
                    wanted = {
                        "user": user_id,
                        "query": _tsquery(phrases),
                        "titles": titles,
                        "most": most,
                    }
                    ids = _POSTGRESQL_IDS
                found = (await session.execute(text(_FOUND.format(ids=ids)), wanted)).all()
                # What was imported is in the index in another order than it was written in.
                rows += sorted(
                    found, key=lambda row: row.updated_at if titles else row.created_at, reverse=True
                )
        return [_hit(row, phrases) for row in _few_of_each(rows)]


async def add_entries(session: AsyncSession, user_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Of new chats and messages that were not written row by row: {"chat", "message", "title", "words"};
    message None for a chat's title. Both are words with blanks between.
    """
    if entries:
        await session.execute(_NEW_ENTRY, [{"user": user_id, **entry} for entry in entries])


@event.listens_for(Session, "after_flush")
def _keep_in_step(session: Session, _flush: UOWTransaction) -> None:
    titles, messages = [], []
    for row in (*session.new, *session.dirty):
        if isinstance(row, Chat) and inspect(row).attrs.title.history.has_changes():
            titles.append({"chat": row.id, "words": " ".join(words_of(row.title))})
        elif isinstance(row, Message) and row.status != "streaming":
            attributes = inspect(row).attrs
            if attributes.text.history.has_changes() or attributes.status.history.has_changes():
                messages.append(_entry(row.chat_id, row.id, row.text))
    if titles:
        session.connection().execute(_TITLE, titles)
    if messages:
        session.connection().execute(_MESSAGE, messages)


async def _fill(connection: AsyncConnection) -> None:
    chats = await connection.stream(select(Chat.id, Chat.title).order_by(Chat.updated_at))
    async for batch in chats.partitions(_BATCH):
        await connection.execute(
            _TITLE, [{"chat": row.id, "words": " ".join(words_of(row.title))} for row in batch]
        )
    query = select(Message.chat_id, Message.id, Message.text).order_by(Message.created_at)
    messages = await connection.stream(query)
    async for rows in messages.partitions(_BATCH):
        await connection.execute(_MESSAGE, [_entry(row.chat_id, row.id, row.text) for row in rows])


def _entry(chat_id: str, message_id: str, body: str) -> dict[str, str]:
    return {"chat": chat_id, "message": message_id, "words": " ".join(words_of(body))}


def _fts5_query(user_id: str, phrases: list[Phrase], titles: bool) -> str:
    """Words are letters and digits alone: inside quotation marks nothing of them is syntax."""
    owner = f'owner : "{user_id.encode().hex()}"'
    wanted = " AND ".join(f'"{" ".join(each.words)}"{" *" if each.prefix else ""}' for each in phrases)
    return f"{owner} AND {'title' if titles else 'words'} : ({wanted})"


def _tsquery(phrases: list[Phrase]) -> str:
    each = (f"({' <-> '.join(phrase.words)}{':*' if phrase.prefix else ''})" for phrase in phrases)
    return " & ".join(each)


def _few_of_each(rows: list[Any]) -> list[Any]:
    seen: dict[str, int] = {}
    shown = []
    for row in rows:
        seen[row.chat_id] = seen.get(row.chat_id, 0) + 1
        if seen[row.chat_id] <= HITS_OF_CHAT:
            shown.append(row)
    return shown[:MOST_HITS]


def _hit(row: Any, phrases: list[Phrase]) -> Hit:
    body = row.title if row.message_id is None else row.text
    return Hit(
        chat_id=row.chat_id,
        title=row.title,
        archived=bool(row.archived),  # SQLite has numbers
        message_id=row.message_id,
        role=row.role,
        excerpt=excerpt(body, phrases),
        updated_at=row.updated_at if row.message_id is None else row.created_at,
    )
