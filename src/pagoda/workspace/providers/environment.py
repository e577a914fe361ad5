"""Connections that the environment names, as Open WebUI reads them; the page shows them as locked.

OPENAI_API_BASE_URLS and OPENAI_API_KEYS are lists separated by `;`; OPENAI_API_BASE_URL and OPENAI_API_KEY
stand for one each. ENABLE_OPENAI_API=false leaves them out. OLLAMA_BASE_URL(S) are servers whose OpenAI side
is at /v1; ENABLE_OLLAMA_API=false leaves those out. Nothing named, nothing called: there is no public host
by default.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

_FALSE = frozenset(("0", "false", "no", "off"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FixedConnection:
    """locked_by: the variable that names it."""

    id: str
    base_url: str
    key: str | None
    locked_by: str


def fixed_connections(environment: Mapping[str, str]) -> tuple[FixedConnection, ...]:
    """In the variables' order. What does not fit together costs a warning."""
    found: list[FixedConnection] = []
    if _enabled(environment, "ENABLE_OPENAI_API"):
        variable, urls = _list(environment, "OPENAI_API_BASE_URLS", "OPENAI_API_BASE_URL")
        keys_variable, keys = _list(environment, "OPENAI_API_KEYS", "OPENAI_API_KEY")
        if keys and not any(urls):
            _log.warning("%s is set without OPENAI_API_BASE_URL, so there is nothing to call", keys_variable)
        for place, url in enumerate(urls):
            key = keys[place] if place < len(keys) else None
            if url:
                found.append(FixedConnection(f"environment-{place + 1}", url, key or None, variable))
    if _enabled(environment, "ENABLE_OLLAMA_API"):
        variable, urls = _list(environment, "OLLAMA_BASE_URLS", "OLLAMA_BASE_URL")
        for place, url in enumerate(urls):
            if url:
                url = url if url.endswith("/v1") else f"{url}/v1"
                found.append(FixedConnection(f"environment-ollama-{place + 1}", url, None, variable))
    return tuple(found)


def _enabled(environment: Mapping[str, str], variable: str) -> bool:
    return environment.get(variable, "").strip().lower() not in _FALSE


def _list(environment: Mapping[str, str], several: str, one: str) -> tuple[str, list[str]]:
    """The variable that counts, and its values; empty ones keep the others' places."""
    for variable in (several, one):
        text = environment.get(variable, "").strip()
        if text:
            return variable, [value.strip().rstrip("/") for value in text.split(";")]
    return one, []
