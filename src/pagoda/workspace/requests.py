"""What every route needs of a request: the workspace, who asks, and that the page itself asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.responses import Response

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError, restoring
from pagoda.workspace.hosts import is_own_host

if TYPE_CHECKING:
    from pagoda.workspace.app import Workspace

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


def workspace_of(request: Request) -> Workspace:
    """The workspace of the server that got this request. Raises WorkspaceError 503 while it is exchanged."""
    found: Workspace = request.app.state.workspace
    if found.restoring:
        raise restoring()
    return found


def address_of(request: Request) -> str:
    """Where a request comes from, as the server sees it."""
    return request.client.host if request.client else ""


def cookie_name(request: Request) -> str:
    """`__Host-` binds the cookie to this host and to https."""
    return "__Host-pagoda_session" if request.url.scheme == "https" else "pagoda_session"


def set_session_cookie(request: Request, response: Response, token: str, seconds: int) -> None:
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )


def clear_session_cookie(request: Request, response: Response) -> None:
    response.delete_cookie(
        cookie_name(request), path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )


def check_origin(request: Request) -> None:
    """Refuses what another site's page sends with the user's cookie.

    Browsers say where a request comes from: Sec-Fetch-Site, or in older ones Origin (the rule of Go's
    http.CrossOriginProtection). Programs say neither and carry no cookie by accident.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    origin = request.headers.get("origin")
    if site is None and origin is None:
        return
    asked = _host_of(f"//{request.headers.get('host', '')}")
    if site is None and origin is not None and asked and _host_of(origin) == asked:
        return
    message = "This request came from another site's page."
    if site is None:
        message += " If it did not, the proxy in between has to pass on Host, or X-Forwarded-Host."
    raise WorkspaceError(403, message, kind="permission")


def _host_of(url: str) -> str:
    """Host and port, without those ports that browsers leave out; nothing for what is no address."""
    try:
        host = urlsplit(url).netloc.lower()
    except ValueError:
        return ""
    return host.removesuffix(":80").removesuffix(":443")


def check_host(request: Request) -> None:
    """Refuses requests for a house without sign-in on this machine alone that came by a stranger's name: with
    a name that leads to 127.0.0.1, a web page from elsewhere is no foreign origin to the browser.
    """
    workspace = workspace_of(request)
    host = request.headers.get("host", "")
    if workspace.loopback and not is_own_host(host, workspace.settings.hosts):
        message = (
            f"This server does not know itself as {host[:100]!r}. Open it as localhost or 127.0.0.1, or name "
            "it in PAGODA_HOSTS."
        )
        raise WorkspaceError(403, message, kind="permission")


async def principal_or_none(request: Request) -> Principal | None:
    """Who is signed in, by cookie or by personal key."""
    workspace = workspace_of(request)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return await workspace.accounts.by_key(key.strip())
    if not workspace.settings.auth:
        check_origin(request)
        check_host(request)
        return await workspace.accounts.only_user()
    token = request.cookies.get(cookie_name(request))
    if not token:
        return None
    check_origin(request)
    return await workspace.accounts.by_session(token)


async def anyone(request: Request) -> None:
    """Routes for visitors: the page alone may change anything."""
    check_origin(request)


async def known(request: Request) -> Principal:
    """Somebody with an account, approved or not."""
    found = await principal_or_none(request)
    if found is None:
        raise WorkspaceError(401, "Sign in first.", kind="authentication")
    return found


async def signed_in(request: Request) -> Principal:
    """Somebody who may use the house."""
    found = await known(request)
    if found.role == "pending":
        raise WorkspaceError(
            403, "An administrator has to approve this account first.", kind="permission", code="pending"
        )
    if found.password_expired:
        raise WorkspaceError(403, "Choose a password of your own first.", kind="password_expired")
    return found


async def administrator(request: Request) -> Principal:
    found = await signed_in(request)
    if not found.is_admin:
        raise WorkspaceError(403, "Only administrators may do this.", kind="permission", code="admins_only")
    return found


def check_may(principal: Principal, permission: str) -> None:
    """Raises WorkspaceError 403."""
    if not principal.may(permission):
        raise WorkspaceError(403, "Your account may not do this; ask an administrator.", kind="permission")


def tell_tabs(request: Request, principal: Principal) -> None:
    """The user's open pages learn that their chats, folders or tags have changed."""
    workspace_of(request).tabs.publish(principal.id, {"type": "chats_changed"})


Known: TypeAlias = Annotated[Principal, Depends(known)]
SignedIn: TypeAlias = Annotated[Principal, Depends(signed_in)]
Administrator: TypeAlias = Annotated[Principal, Depends(administrator)]
