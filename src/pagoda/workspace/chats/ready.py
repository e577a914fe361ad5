"""What a chat of the own format needs besides, to go into the tables: texts, and words for the search.

It imports nothing of the database: the worker that reads imports does this work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pagoda.workspace.chats.words import first_words, text_of, words_of

CHATS_FILE, FILES_FILE = "chats", "files"  #: what the worker writes: one chat, and one file's story, a line


def ready(chat: Mapping[str, Any]) -> dict[str, Any]:
    """The chat with `title_words`, and `text` and `words` in each message; one without a title is named by
    its first question.
    """
    messages = []
    title = chat["title"]
    for message in chat["messages"]:
        text = text_of(message["parts"])
        messages.append({**message, "text": text, "words": " ".join(words_of(text))})
        if not title and message["role"] == "user":
            title = first_words(text)
    return {**chat, "title": title, "title_words": " ".join(words_of(title)), "messages": messages}


def file_ids_of(chat: Mapping[str, Any]) -> Iterator[str]:
    """Of the files that its messages speak of."""
    for message in chat["messages"]:
        for part in message["parts"]:
            if isinstance(file_id := part.get("file_id"), str):
                yield file_id
