"""What goes wrong between a name and its files, in one line a user can act on."""

from __future__ import annotations

from collections.abc import Mapping


class HubError(ValueError):
    """A model cannot be found or fetched; the message is one line: what is wrong and what to do.

    code, values: name the sentence for a page that says it in its reader's language.
    """

    def __init__(
        self, message: str, *, code: str | None = None, values: Mapping[str, str | int] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.values = dict(values or {})


class SourceError(HubError):
    """One source of a file failed; the next one may still work."""


class RefusedError(SourceError):
    """The source has the file and does not give it to us."""


class DiskFullError(HubError):
    """There is no room for the file; another source would not help."""
