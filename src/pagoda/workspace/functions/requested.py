"""What functions are told about a request: its user, its model and its metadata."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.models.setup import Setup

_META_NAMES = {
    "filter_ids": "filterIds",
    "action_ids": "actionIds",
    "default_filter_ids": "defaultFilterIds",
}


def user_of(principal: Principal) -> dict[str, Any]:
    """The user as functions know one."""
    return {
        "id": principal.id,
        "email": principal.email,
        "name": principal.name,
        "role": principal.role,
        "profile_image_url": "",
        "settings": dict(principal.settings),
        "info": {},
    }


def model_of(model_id: str, name: str, setup: Setup) -> dict[str, Any]:
    """The model as functions know one: its `info` holds what is set about it, under names of both kinds."""
    lists = {
        "filter_ids": list(setup.filter_ids),
        "action_ids": list(setup.action_ids),
        "default_filter_ids": list(setup.default_filter_ids),
    }
    meta = {**setup.meta, **lists, **{_META_NAMES[key]: value for key, value in lists.items()}}
    info = {
        "id": model_id,
        "base_model_id": None,
        "name": name,
        "meta": meta,
        "params": setup.merged({}),
    }
    return {"id": model_id, "name": name, "object": "model", "owned_by": "openai", "info": info}


def metadata_of(principal: Principal, model: Mapping[str, Any], filter_ids: Sequence[str]) -> dict[str, Any]:
    """`__metadata__`, but for the ids of chat and message, and what `asked_in` tells."""
    now = time.localtime()
    variables = {
        "{{USER_NAME}}": principal.name,
        "{{USER_EMAIL}}": principal.email,
        "{{CURRENT_DATE}}": time.strftime("%Y-%m-%d", now),
        "{{CURRENT_TIME}}": time.strftime("%H:%M:%S", now),
        "{{CURRENT_DATETIME}}": time.strftime("%Y-%m-%d %H:%M:%S", now),
        "{{CURRENT_WEEKDAY}}": time.strftime("%A", now),
        "{{CURRENT_TIMEZONE}}": time.strftime("%Z", now),
    }
    return {
        "user_id": principal.id,
        "group_ids": sorted(principal.groups),
        "chat_id": "",
        "message_id": "",
        "session_id": None,
        "user_message_id": None,
        "folder_id": None,
        "filter_ids": list(filter_ids),
        "tool_ids": None,
        "tool_servers": None,
        "files": [],
        "features": {},
        "variables": variables,
        "model": dict(model),
        "direct": False,
        "params": {"stream_delta_chunk_size": None, "reasoning_tags": None, "function_calling": "default"},
        "sources": [],
        "task": None,
        "task_body": None,
        "user_agent": "",
        "internal": False,
    }


def asked_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """What `__metadata__` says of a request's messages."""
    messages = [each for each in body.get("messages") or [] if isinstance(each, Mapping)]
    asked = [each for each in messages if each.get("role") == "user"]
    systems = [each["content"] for each in messages if each.get("role") == "system" and each.get("content")]
    return {
        "user_message": dict(asked[-1]) if asked else None,
        "user_prompt": asked[-1].get("content") if asked else None,
        "system_prompt": systems[0] if systems else None,
    }
