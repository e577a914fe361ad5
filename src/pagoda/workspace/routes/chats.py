"""Chats and messages of the one who asks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.listing import PAGE, ChatFilter
from pagoda.workspace.chats.sharing import shared_at
from pagoda.workspace.generation.run import shown as shown_message
from pagoda.workspace.requests import SignedIn, tell_tabs, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.storage.tables import Chat, Message

router = APIRouter(prefix="/api", tags=["chats"])
_LONGEST_TEXT = 2_000_000  #: characters
_LISTED = ("title", "folder_id", "pinned", "archived")  #: what lists show of a chat
_CLEARABLE = ("folder_id", "leaf_id")  #: null is a value of these; elsewhere it changes nothing


class ChatValues(Body):
    title: str | None = Field(None, max_length=200)
    folder_id: str | None = None
    pinned: bool | None = None
    archived: bool | None = None
    leaf_id: str | None = None
    models: list[str] | None = None
    params: dict[str, Any] | None = None
    filter_ids: list[str] | None = None


class TextPart(Body):
    type: Literal["text"] = "text"
    text: Annotated[str, Field(max_length=_LONGEST_TEXT)]


class MessageValues(Body):
    rating: Literal[1, -1] | None = None
    parts: Annotated[list[TextPart], Field(min_length=1, max_length=200)] | None = None


@router.get("/chats", summary="One's chats, the newest first")
async def list_chats(
    request: Request,
    principal: SignedIn,
    archived: bool = False,
    folder: str | None = None,
    tag: str | None = None,
    pinned: bool | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
) -> dict[str, Any]:
    """`folder=none`: those in no folder. `next` is the `cursor` of the next page, null after the last."""
    workspace = workspace_of(request)
    wanted = ChatFilter(archived=archived, folder=folder, tag=tag, pinned=pinned)
    found, more = await workspace.chat_list.page(principal.id, wanted, cursor=cursor, limit=limit)
    running = workspace.generations.running_chats(principal.id)
    return {
        "chats": [
            {**summary(each.chat), "tags": each.tags, "running": each.chat.id in running} for each in found
        ],
        "next": more,
    }


@router.post("/chats", summary="Begin a chat")
async def create_chat(request: Request, principal: SignedIn, body: ChatValues) -> dict[str, Any]:
    values = body.model_dump(exclude_none=True)
    chat = await workspace_of(request).chats.create(principal.id, values)
    return await _opened(request, principal, chat)


@router.get("/chats/{chat_id}", summary="A chat")
async def get_chat(request: Request, principal: SignedIn, chat_id: str) -> dict[str, Any]:
    return await _opened(request, principal, await workspace_of(request).chats.get(principal.id, chat_id))


@router.patch("/chats/{chat_id}", summary="Change a chat")
async def change_chat(
    request: Request, principal: SignedIn, chat_id: str, body: ChatValues
) -> dict[str, Any]:
    given = body.model_dump(exclude_unset=True)
    values = {name: value for name, value in given.items() if value is not None or name in _CLEARABLE}
    chat = await workspace_of(request).chats.change(principal.id, chat_id, values)
    if any(name in values for name in _LISTED):
        tell_tabs(request, principal)
    return await _opened(request, principal, chat)


@router.delete("/chats/{chat_id}", summary="Delete a chat")
async def delete_chat(request: Request, principal: SignedIn, chat_id: str) -> Done:
    workspace = workspace_of(request)
    await workspace.generations.stop_chat(principal.id, chat_id)
    files = await workspace.unused_files.of_chat(principal.id, chat_id)
    await workspace.chats.delete(principal.id, chat_id)
    await workspace.unused_files.remove(principal.id, files)
    tell_tabs(request, principal)
    return Done()


@router.get("/chats/{chat_id}/messages", summary="The visible branch, oldest first")
async def messages(
    request: Request,
    principal: SignedIn,
    chat_id: str,
    leaf: str | None = None,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 30,
) -> dict[str, Any]:
    """The last ones, or the last ones before the message `before`. beside: all answers side by side with the
    last one, with the versions of each.
    """
    workspace = workspace_of(request)
    found, siblings, more = await workspace.chats.line(
        principal.id, chat_id, leaf_id=leaf, before=before, limit=limit
    )
    last = found[-1] if found and before is None else None
    beside = [] if last is None else await workspace.chats.beside(principal.id, last)
    running = {run.message.id: run.id for run in workspace.generations.running(principal.id, chat_id)}

    def placed(message: Message, siblings: list[str]) -> dict[str, Any]:
        return {**shown_message(message), "siblings": siblings, "generation": running.get(message.id)}

    return {
        "messages": [placed(message, siblings[message.id]) for message in found],
        "beside": [placed(message, siblings[last.id]) for message in beside] if last else [],
        "more": more,
    }


@router.patch("/messages/{message_id}", summary="Rate a message, or change its words")
async def change_message(request: Request, principal: SignedIn, message_id: str, body: MessageValues) -> Done:
    chats = workspace_of(request).chats
    if body.parts is not None:
        await chats.edit(principal.id, message_id, [part.text for part in body.parts])
    if "rating" in body.model_fields_set:
        await chats.rate(principal.id, message_id, body.rating)
    return Done()


@router.delete("/messages/{message_id}", summary="Delete a message and what follows it")
async def delete_message(request: Request, principal: SignedIn, message_id: str) -> Done:
    await workspace_of(request).chats.delete_message(principal.id, message_id)
    return Done()


def summary(chat: Chat) -> dict[str, Any]:
    """A chat as lists have it."""
    return {
        "id": chat.id,
        "title": chat.title,
        "folder_id": chat.folder_id,
        "pinned": chat.pinned,
        "archived": chat.archived,
        "created_at": chat.created_at,
        "updated_at": chat.updated_at,
    }


async def _opened(request: Request, principal: Principal, chat: Chat) -> dict[str, Any]:
    """A chat as the page gets it when it is opened."""
    workspace = workspace_of(request)
    return {
        **summary(chat),
        "tags": await workspace.chat_list.tags_of(chat.id),
        "running": chat.id in workspace.generations.running_chats(principal.id),
        "leaf_id": chat.leaf_id,
        "models": chat.models,
        "params": chat.params,
        "filter_ids": chat.filter_ids,
        "share_id": chat.share_id,
        "shared_at": shared_at(chat),
    }
