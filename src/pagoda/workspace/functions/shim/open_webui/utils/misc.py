"""Small helpers over messages."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


def get_content_from_message(message: Message) -> str | None:
    """The text of a message, also of one in parts."""
    content = message.get("content")
    if isinstance(content, list):
        return next((part.get("text") for part in content if part.get("type") == "text"), None)
    return content


def get_last_user_message_item(messages: list[Message]) -> Message | None:
    return next((each for each in reversed(messages) if each.get("role") == "user"), None)


def get_last_user_message(messages: list[Message]) -> str | None:
    found = get_last_user_message_item(messages)
    return None if found is None else get_content_from_message(found)


def get_last_assistant_message_item(messages: list[Message]) -> Message | None:
    return next((each for each in reversed(messages) if each.get("role") == "assistant"), None)


def get_last_assistant_message(messages: list[Message]) -> str | None:
    found = get_last_assistant_message_item(messages)
    return None if found is None else get_content_from_message(found)


def get_system_message(messages: list[Message]) -> Message | None:
    return next((each for each in messages if each.get("role") == "system"), None)


def remove_system_message(messages: list[Message]) -> list[Message]:
    return [each for each in messages if each.get("role") != "system"]


def pop_system_message(messages: list[Message]) -> tuple[Message | None, list[Message]]:
    """The system message, and the others."""
    return get_system_message(messages), remove_system_message(messages)


def add_or_update_system_message(
    content: str, messages: list[Message], append: bool = False
) -> list[Message]:
    """Puts a text before what the system says, or after it, or makes it its first words."""
    found = get_system_message(messages)
    if found is None:
        messages.insert(0, {"role": "system", "content": content})
    else:
        said = found.get("content") or ""
        found["content"] = f"{said}\n{content}" if append else f"{content}\n{said}"
    return messages


def add_or_update_user_message(content: str, messages: list[Message], append: bool = True) -> list[Message]:
    """Adds a text to the last message where it is the user's, else as a new one."""
    if messages and messages[-1].get("role") == "user":
        said = messages[-1].get("content") or ""
        messages[-1]["content"] = f"{said}\n{content}" if append else f"{content}\n{said}"
    else:
        messages.append({"role": "user", "content": content})
    return messages
