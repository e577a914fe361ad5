from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.helpers.models import tiny_gguf
from tests.helpers.servers import Server, start_server

from pagoda.hub import DEFAULT_EMBEDDING_MODEL, DEFAULT_MODEL, HubError, SilentProgress, resolve

# A busy machine is no failure: examples have no deadline. They are the same in every run.
settings.register_profile("pagoda", deadline=None, derandomize=True)
settings.load_profile("pagoda")


@pytest.fixture(scope="session")
def default_model_path() -> Path:
    """The default model's file: $PAGODA_TEST_MODEL, else what the catalog gives, fetched once."""
    given = os.environ.get("PAGODA_TEST_MODEL")
    if given:
        path = Path(given)
        if not path.exists():
            pytest.fail(f"PAGODA_TEST_MODEL is {given}, which does not exist")
        return path
    try:
        return resolve(DEFAULT_MODEL, progress=SilentProgress()).path
    except HubError as error:
        pytest.skip(f"needs the default model: {error}")


@pytest.fixture(scope="session")
def embedding_model_path() -> Path:
    """The folder of the default embedding model: what the catalog gives, fetched once."""
    try:
        return resolve(DEFAULT_EMBEDDING_MODEL, progress=SilentProgress()).path
    except HubError as error:
        pytest.skip(f"needs the default embedding model: {error}")


@pytest.fixture(scope="session")
def pagoda_server(default_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the default model."""
    server = start_server(default_model_path, tmp_path_factory.mktemp("pagoda_server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with a tiny random model (tests/helpers/models.py): context 512, any bytes as text."""
    folder = tmp_path_factory.mktemp("tiny_server")
    server = start_server(tiny_gguf(folder / "tiny.gguf"), folder)
    yield server
    server.stop()
