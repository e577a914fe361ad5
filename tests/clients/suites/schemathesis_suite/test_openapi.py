"""schemathesis over /openapi.json: no 5xx, and no answer outside the server's own schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import endpoint

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 25  #: random requests of each operation, beside those that cover each part of the schema


@pytest.mark.parametrize("server", ["scripted", "embedding"])
def test_every_operation(server: str) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", "--no-color"]
    command += ["--checks", CHECKS, "--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure"]
    command += ["--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all"]
    # Routes of the page want somebody who is signed in; a table of its own tests them with everybody.
    command += ["--exclude-path-regex", "^/api/"]
    command += ["--request-timeout", "30", f"{endpoint(server).url}/openapi.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
