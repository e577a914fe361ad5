"""What every suite gets: the addresses of the servers. Nothing of Pagoda is importable here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Endpoint:
    """A server and the model it serves."""

    url: str  #: without /v1
    model: str
    folder: str  #: the model's files; scripted ones have a tokenizer there

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"


def endpoint(name: str) -> Endpoint:
    found = json.loads(os.environ["PAGODA_SERVERS"])[name]
    return Endpoint(**found)


@pytest.fixture(scope="session")
def chat() -> Endpoint:
    """The default chat model."""
    return endpoint("chat")


@pytest.fixture(scope="session")
def scripted() -> Endpoint:
    """A model that says what tests/clients/scripts.py tells it, with calls of tools."""
    return endpoint("scripted")


@pytest.fixture(scope="session")
def thinking() -> Endpoint:
    """The same with a reasoning parser."""
    return endpoint("thinking")


@pytest.fixture(scope="session")
def embedding() -> Endpoint:
    """The default embedding model."""
    return endpoint("embedding")
