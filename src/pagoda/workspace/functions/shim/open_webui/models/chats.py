"""Chats of the user whose request a function serves."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pagoda.workspace.functions.plugin_process.peer import ask_now

from ..served import Nothing, ServedDict, ServedList, ServedModel, served


class ChatModel(ServedModel):
    """A chat; `chat` holds its messages."""

    id: str
    user_id: str = ""
    title: str = ""
    chat: dict[str, Any] = Field(default_factory=dict)


class ChatTable:
    """Looks chats up."""

    def get_chat_by_id(self, id: str, **_options: Any) -> ChatModel | Nothing:  # noqa: A002
        found = ask_now("chat", id=id)
        return Nothing() if found is None else ChatModel(**found)

    def get_chat_by_id_and_user_id(self, id: str, user_id: str, **_options: Any) -> ChatModel | Nothing:  # noqa: A002
        found = self.get_chat_by_id(id)
        return found if isinstance(found, ChatModel) and found.user_id == user_id else Nothing()

    def get_chat_title_by_id(self, id: str, **_options: Any) -> Any:  # noqa: A002
        found = ask_now("chat", id=id)
        return served(None if found is None else found["title"])

    def get_messages_by_chat_id(self, id: str, **_options: Any) -> Any:  # noqa: A002
        """By their ids; None where there is no such chat."""
        found = ask_now("chat", id=id)
        return Nothing() if found is None else ServedDict(found["chat"]["history"]["messages"])

    get_messages_map_by_chat_id = get_messages_by_chat_id

    def get_message_by_id_and_message_id(self, id: str, message_id: str, **_options: Any) -> Any:  # noqa: A002
        return served((self.get_messages_by_chat_id(id) or {}).get(message_id))

    def get_chats_by_user_id(self, user_id: str, **_options: Any) -> ServedList:
        return ServedList(ChatModel(**each) for each in ask_now("chats"))

    def update_chat_title_by_id(self, id: str, title: str, **_options: Any) -> ChatModel | Nothing:  # noqa: A002
        found = ask_now("chat.title", id=id, title=title)
        return Nothing() if found is None else ChatModel(**found)

    def update_chat_by_id(self, id: str, chat: dict[str, Any], **_options: Any) -> ChatModel | Nothing:  # noqa: A002
        """Its title, its tags, and what its messages say, as `history.messages` or `messages` has it. An
        answer that is being written is changed by filters and events.
        """
        history = chat.get("history")
        messages = history.get("messages") if isinstance(history, dict) else chat.get("messages")
        listed = list(messages.values()) if isinstance(messages, dict) else messages
        known = [
            each for each in listed or () if isinstance(each, dict) and isinstance(each.get("content"), str)
        ]
        contents = {str(each.get("id")): each["content"] for each in known}
        values = {"title": chat.get("title"), "tags": chat.get("tags"), "contents": contents}
        found = ask_now("chat.update", id=id, **values)
        return Nothing() if found is None else ChatModel(**found)


Chats = ChatTable()
