"""Coming in: what the page needs to know first, the first administrator, signing up, in and out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.files.attachments import MOST_FILES
from pagoda.workspace.requests import (
    address_of,
    anyone,
    clear_session_cookie,
    cookie_name,
    principal_or_none,
    set_session_cookie,
    workspace_of,
)
from pagoda.workspace.routes.bodies import Body

router = APIRouter(tags=["accounts"], dependencies=[Depends(anyone)])


class NewAccount(Body):
    name: str
    email: str
    password: str


class SignUp(NewAccount):
    """invitation: the token of a link."""

    invitation: str | None = None


class Credentials(Body):
    email: str
    password: str


@router.get("/api/config", summary="What the page needs to know first")
async def config(request: Request) -> dict[str, Any]:
    workspace = workspace_of(request)
    principal = await principal_or_none(request)
    settings = workspace.settings
    return {
        "name": settings.name,
        "version": workspace.version,
        "locale": settings.locale,
        "signup": settings.signup,
        "setup_required": await workspace.accounts.setup_required(),
        "auth": settings.auth,
        "default_models": list(settings.default_models),
        "features": {
            "title_generation": settings.title_generation,
            "tags_generation": settings.tags_generation,
            "follow_up_generation": settings.follow_up_generation,
            "autocomplete_generation": settings.autocomplete_generation,
        },
        "limits": {"file_bytes": workspace.files.limit, "files": MOST_FILES},
        "user": None if principal is None else principal.shown(),
    }


@router.post("/api/setup", summary="Make the first administrator")
async def set_up(request: Request, body: NewAccount) -> JSONResponse:
    _check_signs_in(request)
    accounts = workspace_of(request).accounts
    accounts.check_pace(address_of(request))
    return await _enter(
        request, await accounts.set_up(body.name, body.email, body.password, address_of(request))
    )


@router.post("/api/auth/signup", summary="Make an account")
async def sign_up(request: Request, body: SignUp) -> JSONResponse:
    _check_signs_in(request)
    workspace = workspace_of(request)
    address = address_of(request)
    if await workspace.accounts.setup_required():
        raise WorkspaceError(409, "The first account is made by /api/setup.", kind="conflict")
    workspace.accounts.check_pace(address)
    if body.invitation is not None:
        made = await workspace.invitations.accept(
            body.invitation, body.name, body.email, body.password, address
        )
        return await _enter(request, made)
    if not workspace.settings.enable_signup:
        message = (
            "Accounts are made by invitation here."
            if workspace.settings.invitations
            else ("Accounts are made by an administrator here.")
        )
        raise WorkspaceError(403, message, kind="permission", code="signup_closed")
    role = workspace.settings.default_role
    return await _enter(
        request, await workspace.accounts.sign_up(body.name, body.email, body.password, role, address)
    )


@router.get("/api/invitations/{token}", summary="Whom an invitation is for")
async def invitation(request: Request, token: str) -> dict[str, Any]:
    return await workspace_of(request).invitations.look(token)


@router.post("/api/auth/login", summary="Sign in")
async def log_in(request: Request, body: Credentials) -> JSONResponse:
    _check_signs_in(request)
    workspace = workspace_of(request)
    user_id = await workspace.accounts.check_password(body.email, body.password, address_of(request))
    return await _enter(request, user_id)


@router.post("/api/auth/logout", summary="Sign out")
async def log_out(request: Request) -> JSONResponse:
    token = request.cookies.get(cookie_name(request))
    if token:
        await workspace_of(request).accounts.end_session(token)
    response = JSONResponse({"ok": True})
    clear_session_cookie(request, response)
    return response


def _check_signs_in(request: Request) -> None:
    if not workspace_of(request).settings.auth:
        raise WorkspaceError(409, "Nobody signs in here: WEBUI_AUTH is False.", kind="conflict")


async def _enter(request: Request, user_id: str) -> JSONResponse:
    workspace = workspace_of(request)
    accounts = workspace.accounts
    token = await accounts.begin_session(user_id, request.headers.get("user-agent", ""), address_of(request))
    principal = await accounts.by_session(token)
    if principal is None:
        raise WorkspaceError(
            401, "This account has been closed.", kind="authentication", code="account_closed"
        )
    response = JSONResponse(principal.shown())
    set_session_cookie(request, response, token, workspace.settings.session_seconds)
    return response
