"""Packages that functions ask for, from a folder of wheels instead of an index."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from tests.workspace.conftest import open_house
from tests.workspace.functions_support import answer, text

FUNCTION = '''"""
title: Owl
requirements: night-owl, {other}
"""
import night_owl


class Filter:
    async def outlet(self, body):
        body["messages"][-1]["content"] = night_owl.says()
        return body
'''


def wheel(folder: Path, version: str, says: str) -> None:
    """A package as pip takes it."""
    folder.mkdir(exist_ok=True)
    head = f"night_owl-{version}.dist-info"
    files = {
        "night_owl.py": f"def says():\n    return {says!r}\n",
        f"{head}/METADATA": f"Metadata-Version: 2.1\nName: night-owl\nVersion: {version}\n",
        f"{head}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{head}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{head}/RECORD"])
    with zipfile.ZipFile(folder / f"night_owl-{version}-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.sqlite_only
async def test_packages_come_into_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    wheel(wheels, "1.0", "Hoo")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        path = "/api/admin/functions"
        made = await ada.post(path, json={"id": "owl", "content": FUNCTION.format(other="night-owl")})
        assert made.status_code == 200, made.text
        assert "No module named 'night_owl'" in made.json()["error"]
        assert made.json()["type"] == "filter"
        on = {"active": True, "is_global": True}
        refused = await ada.patch(f"{path}/owl", json=on)
        assert "night_owl" in refused.json()["error"]["message"]

        installed = await ada.post(f"{path}/owl/requirements")
        assert installed.status_code == 200, installed.text
        assert "night-owl-1.0" in installed.json()["output"].replace("_", "-")
        found = (await ada.get(f"{path}/owl")).json()
        assert (found["error"], found["hooks"]) == (None, ["outlet"])
        assert (await ada.patch(f"{path}/owl", json=on)).status_code == 200
        assert text(await answer(ada)) == "Hoo"
        assert not any("night_owl" in name for name in sys.modules)

        wheel(wheels, "2.0", "Hoo hoo")
        assert (await ada.post(f"{path}/owl/requirements")).status_code == 200
        assert text(await answer(ada)) == "Hoo hoo"

        await ada.patch(f"{path}/owl", json={"content": FUNCTION.format(other="no-such-bird")})
        failed = await ada.post(f"{path}/owl/requirements")
        assert failed.status_code == 400
        told = failed.json()["error"]["message"]
        assert told == (
            "The packages could not be installed: No matching distribution found for no-such-bird"
        )
        await ada.patch(f"{path}/owl", json={"content": FUNCTION.format(other="--pre")})
        options = await ada.post(f"{path}/owl/requirements")
        assert options.json()["error"]["message"] == "The function's requirements are not names of packages."
