"""Settings from the environment and from where the package lies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pagoda.cli.errors import UsageError


def api_keys(given: Sequence[str] | None, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Keys of the command line, else of $PAGODA_API_KEY, else of $VLLM_API_KEY; several parted by commas.

    Raises UsageError for an empty key of the command line, which is a variable that was not set.
    """
    if given:
        if not all(given):
            raise UsageError("--api-key is empty; leave it out for a server without a key")
        return tuple(given)
    from_environment = environ.get("PAGODA_API_KEY") or environ.get("VLLM_API_KEY") or ""
    return tuple(key.strip() for key in from_environment.split(",") if key.strip())


def web_dir() -> Path | None:
    """The built browser app: in the installed package, or beside the sources; None where it was not built."""
    import pagoda

    package = Path(pagoda.__file__).parent
    for folder in (package / "static", package.parent.parent / "web" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None
