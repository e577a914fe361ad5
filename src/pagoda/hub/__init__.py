"""From a model's name to files on this disk: local paths, the catalog, Hugging Face and the package index."""

from __future__ import annotations

from pagoda.hub.catalog import CATALOG, DEFAULT_EMBEDDING_MODEL, DEFAULT_MODEL, CatalogEntry
from pagoda.hub.errors import HubError
from pagoda.hub.home import DataFolderLock, models_dir, pagoda_home
from pagoda.hub.progress import ProgressReporter, SilentProgress, format_bytes
from pagoda.hub.resolve import LocalModel, resolve, resolve_adapter

__all__ = [
    "CATALOG",
    "DEFAULT_EMBEDDING_MODEL",
    "DEFAULT_MODEL",
    "CatalogEntry",
    "DataFolderLock",
    "HubError",
    "LocalModel",
    "ProgressReporter",
    "SilentProgress",
    "format_bytes",
    "models_dir",
    "pagoda_home",
    "resolve",
    "resolve_adapter",
]
