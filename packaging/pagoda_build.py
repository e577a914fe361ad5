"""Build backend: builds the browser app, then hands over to scikit-build-core (kernels and wheel).

Where the machine has no recent Node, the wheel that carries one becomes a build requirement, so a machine
with nothing but Python and a C++ compiler can build. PAGODA_SKIP_WEB=1 leaves the page out.
"""

from __future__ import annotations

import os
import sys

from scikit_build_core import build as scikit
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from web_build import NODE_WHEEL, build_web, machine_has_node

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, list[str] | str] | None


def _page() -> None:
    if os.environ.get("PAGODA_SKIP_WEB") == "1":
        print("pagoda: the browser app is left out (PAGODA_SKIP_WEB=1)", file=sys.stderr)
    else:
        build_web()


def _with_node(needed: list[str]) -> list[str]:
    return needed if machine_has_node() else [*needed, NODE_WHEEL]


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return _with_node(scikit.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    return _with_node(scikit.get_requires_for_build_editable(config_settings))


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    _page()
    return scikit.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    _page()
    return scikit.build_editable(wheel_directory, config_settings, metadata_directory)
