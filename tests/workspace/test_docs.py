"""docs/workspace.md names every setting, with its default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pagoda.workspace.accounts.principal import DEFAULT_PERMISSIONS
from pagoda.workspace.settings import SETTINGS, SettingInfo

PAGE = (Path(__file__).parents[2] / "docs" / "workspace.md").read_text("utf-8")
ROWS = {
    variable: row.split("|")[2].strip()
    for row in PAGE.splitlines()
    if row.startswith("| `")
    for variable in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
}


@pytest.mark.parametrize("info", SETTINGS.values(), ids=lambda info: info.variable)
def test_every_setting_has_its_row_and_its_default(info: SettingInfo) -> None:
    variable, default = info.variable, info.default
    assert variable in ROWS
    if isinstance(default, bool):
        assert ROWS[variable] == f"`{str(default).lower()}`"
    elif isinstance(default, int) and variable != "JWT_EXPIRES_IN":
        assert ROWS[variable] == f"`{default}`"


def test_permissions_are_told_apart() -> None:
    told = PAGE.split("Everybody has")[1].split("Administrators")[0]
    given, lacking = (set(re.findall(r"`([a-z_.]+)`", part)) for part in told.split("; not "))
    assert given == {name for name, value in DEFAULT_PERMISSIONS.items() if value}
    assert lacking == set(DEFAULT_PERMISSIONS) - given
