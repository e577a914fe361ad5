"""`pagoda collect-env`: what a report of a fault should tell of the machine, in one block to copy."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version

import typer

_SECRET = ("KEY", "TOKEN")
_DISTRIBUTION = "pagoda-llm"
#: what the package needs, for a tree that was never installed
_PACKAGES = ("numpy", "tokenizers", "fastapi", "uvicorn", "pydantic", "msgspec", "httpx", "huggingface_hub")


def command() -> None:
    """Print what a bug report should tell of this machine."""
    from pagoda.cli.doctor import findings

    typer.echo("```text")
    typer.echo(f"System   {platform.platform()}, {_libc()}")
    for finding in findings(8000, network=False):
        typer.echo(finding.line())
    typer.echo("Packages " + ", ".join(packages()))
    for line in variables(os.environ):
        typer.echo(line)
    typer.echo("```")


def packages() -> Iterator[str]:
    """The packages that Pagoda needs, with their versions."""
    try:
        names = [_name(line) for line in requires(_DISTRIBUTION) or () if "extra ==" not in line]
    except PackageNotFoundError:
        names = list(_PACKAGES)
    for name in names:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is missing"


def variables(environ: Mapping[str, str]) -> Iterator[str]:
    """The environment variables that Pagoda looks at and that are set; keys and tokens are not shown."""
    from pagoda.cli.flags.environment import VARIABLES

    for variable in VARIABLES:
        value = environ.get(variable.name)
        if value is not None:
            secret = variable.name.endswith(_SECRET)
            yield f"{variable.name}={'(set)' if secret and value else value}"


def _name(requirement: str) -> str:
    """numpy for "numpy>=1.26; python_version > '3'"."""
    for index, char in enumerate(requirement):
        if not (char.isalnum() or char in "-_."):
            return requirement[:index]
    return requirement


def _libc() -> str:
    name, number = platform.libc_ver()
    return f"{name} {number}".strip() or "unknown libc"
