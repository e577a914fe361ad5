"""What goes wrong between a name and its files, in one line a user can act on."""

from __future__ import annotations


class HubError(ValueError):
    """A model cannot be found or fetched; the message is one line: what is wrong and what to do."""


class SourceError(HubError):
    """One source of a file failed; the next one may still work."""


class RefusedError(SourceError):
    """The source has the file and does not give it to us."""


class DiskFullError(HubError):
    """There is no room for the file; another source would not help."""
