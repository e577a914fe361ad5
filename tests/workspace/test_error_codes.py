"""Every error that the server names by a code has its sentence in the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pagoda.workspace.errors import WorkspaceError, not_found

ROOT = Path(__file__).parents[2]
SENTENCES = ROOT / "web" / "src" / "lib" / "i18n" / "parts"
ERRORS = {"WorkspaceError", "ProviderError", "RefusedError", "ModelHubError", "HubError", "DiskFullError"}
SOURCES = ("workspace", "hub", "cli")


def named(call: ast.Call) -> str | None:
    """The code that a call gives an error."""
    if not isinstance(call.func, ast.Name) or call.func.id not in ERRORS:
        return None
    given = [word.value for word in call.keywords if word.arg == "code"]
    if call.func.id == "RefusedError":
        given += call.args[1:2]
    return next((each.value for each in given if isinstance(each, ast.Constant)), None)


def codes() -> set[str]:
    found = set()
    files = [file for folder in SOURCES for file in sorted((ROOT / "src" / "pagoda" / folder).rglob("*.py"))]
    for file in files:
        calls = (node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call))
        found.update(code for call in calls if (code := named(call)) is not None)
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_has_its_sentence_and_no_other_is_there(language: str) -> None:
    text = (SENTENCES / f"faults.{language}.ts").read_text("utf-8")
    assert set(re.findall(r"'said\.(\w+)'", text)) == codes()


def test_an_error_tells_its_code_and_what_stands_in_its_sentence() -> None:
    error = WorkspaceError(413, "Too large.", param="file", code="too_large", values={"megabytes": 25})
    assert error.body()["error"] == {
        "message": "Too large.",
        "type": "invalid_request",
        "param": "file",
        "code": "too_large",
        "values": {"megabytes": 25},
    }
    assert WorkspaceError(400, "No.").body()["error"] == {
        "message": "No.",
        "type": "invalid_request",
        "param": None,
        "code": 400,
    }
    assert not_found("shared chat").code == "no_shared_chat"
