from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def default_model_path() -> Path:
    """The default model's file: $PAGODA_TEST_MODEL, else what the catalog gives (downloaded once)."""
    given = os.environ.get("PAGODA_TEST_MODEL")
    if given:
        path = Path(given)
        if not path.exists():
            pytest.fail(f"PAGODA_TEST_MODEL is {given}, which does not exist")
        return path
    pytest.skip("no")
