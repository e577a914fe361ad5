"""Whose personal key a request brings: whether its model is theirs to use, and what they used."""

from __future__ import annotations

from collections.abc import Mapping

from pagoda.api.errors import ApiError
from pagoda.api.hooks import Guest, HookError, key_of
from pagoda.api.state import ServerState


async def guest_of(state: ServerState, headers: Mapping[str, str]) -> Guest | None:
    """None where it brings none, or one of the server's own keys."""
    if state.hooks is None or not (key := key_of(headers)):
        return None
    return await state.hooks.guest(key)


async def admitted(state: ServerState, headers: Mapping[str, str], model: str | None) -> Guest | None:
    """As `guest_of`, for a model that this server serves. Raises ApiError where it is not theirs to use."""
    guest = await guest_of(state, headers)
    if guest is not None:
        try:
            await guest.check(state.models.find(model).name)
        except HookError as error:
            raise ApiError(error.status, str(error), param="model") from error
    return guest
