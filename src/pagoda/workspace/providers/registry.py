"""Which provider answers for a model, and which models a user sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import not_found
from pagoda.workspace.providers.base import Provider, ProviderError


class Providers:
    """All providers, the local one first. Where two have a model of one name, the first one answers."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = list(providers)

    async def models(self, principal: Principal) -> list[dict[str, Any]]:
        """What a user may choose. A provider that cannot be asked has no models now."""
        found: dict[str, dict[str, Any]] = {}
        for provider in self._providers:
            try:
                listed = await provider.list_models()
            except ProviderError:
                continue
            for model in listed:
                shown = {
                    "id": model.id,
                    "name": model.name,
                    "context_length": model.context_length,
                    "capabilities": sorted(model.capabilities),
                    "state": model.state,
                    "error": model.error,
                    "connection": provider.id,
                }
                found.setdefault(model.id, shown)
        return list(found.values())

    async def check(self, principal: Principal, model: str) -> None:
        """Raises WorkspaceError 404 for a model that the user does not see."""
        await self.resolve(principal, model)

    async def resolve(self, principal: Principal, model: str) -> tuple[Provider, str]:
        """The provider of a model, and what it calls it. Raises WorkspaceError 404."""
        for provider in self._providers:
            try:
                if any(each.id == model for each in await provider.list_models()):
                    return provider, model
            except ProviderError:
                continue
        raise not_found("model")
