"""The library of prompts."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.chats.prompts import LONGEST_CONTENT, variables
from pagoda.workspace.requests import SignedIn, check_may, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.storage.tables import Prompt

router = APIRouter(prefix="/api/prompts", tags=["prompts"])


class NewPrompt(Body):
    command: str
    title: str = Field(min_length=1, max_length=200)
    content: str = Field(min_length=1, max_length=LONGEST_CONTENT)
    visibility: Literal["private", "everyone"] = "private"


class PromptValues(Body):
    command: str = ""
    title: str = Field("", min_length=1, max_length=200)
    content: str = Field("", min_length=1, max_length=LONGEST_CONTENT)
    visibility: Literal["private", "everyone"] = "private"


@router.get("", summary="Prompts that one can use")
async def list_prompts(request: Request, principal: SignedIn) -> dict[str, Any]:
    found = await workspace_of(request).prompts.usable(principal.id)
    return {"prompts": [shown(prompt, prompt.user_id == principal.id, owner) for prompt, owner in found]}


@router.post("", summary="Add a prompt")
async def create_prompt(request: Request, principal: SignedIn, body: NewPrompt) -> dict[str, Any]:
    if body.visibility == "everyone":
        check_may(principal, "prompts.share")
    prompt = await workspace_of(request).prompts.create(principal.id, body.model_dump())
    return shown(prompt, True, principal.name)


@router.patch("/{prompt_id}", summary="Change a prompt")
async def change_prompt(
    request: Request, principal: SignedIn, prompt_id: str, body: PromptValues
) -> dict[str, Any]:
    values = body.model_dump(exclude_unset=True)
    if values.get("visibility") == "everyone":
        check_may(principal, "prompts.share")
    prompt = await workspace_of(request).prompts.change(principal.id, prompt_id, values)
    return shown(prompt, True, principal.name)


@router.delete("/{prompt_id}", summary="Delete a prompt")
async def delete_prompt(request: Request, principal: SignedIn, prompt_id: str) -> Done:
    await workspace_of(request).prompts.delete(principal.id, prompt_id)
    return Done()


def shown(prompt: Prompt, own: bool, owner: str) -> dict[str, Any]:
    """A prompt as the page gets it. variables: names in {{braces}}, in order."""
    return {
        "id": prompt.id,
        "command": prompt.command,
        "title": prompt.title,
        "content": prompt.content,
        "variables": variables(prompt.content),
        "visibility": prompt.visibility,
        "own": own,
        "owner": owner,
        "created_at": prompt.created_at,
        "updated_at": prompt.updated_at,
    }
