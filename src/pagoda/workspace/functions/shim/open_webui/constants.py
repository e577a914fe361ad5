"""Names of tasks and messages."""

from __future__ import annotations

from enum import StrEnum


class TASKS(StrEnum):
    """What a request is for, where it is not a chat's own."""

    DEFAULT = "task"
    TITLE_GENERATION = "title_generation"
    FOLLOW_UP_GENERATION = "follow_up_generation"
    TAGS_GENERATION = "tags_generation"
    EMOJI_GENERATION = "emoji_generation"
    QUERY_GENERATION = "query_generation"
    IMAGE_PROMPT_GENERATION = "image_prompt_generation"
    AUTOCOMPLETE_GENERATION = "autocomplete_generation"
    FUNCTION_CALLING = "function_calling"
    MOA_RESPONSE_GENERATION = "moa_response_generation"


class ERROR_MESSAGES(StrEnum):  # noqa: N801 - the name that functions import
    """Sentences for people."""

    DEFAULT = "Something went wrong."
    NOT_FOUND = "It was not found."
    UNAUTHORIZED = "Sign in first."
    ACCESS_PROHIBITED = "You may not do this."
