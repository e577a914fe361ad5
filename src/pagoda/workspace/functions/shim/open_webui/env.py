"""Constants of the environment."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from pathlib import Path

VERSION = os.environ.get("OPEN_WEBUI_VERSION", "0")
GLOBAL_LOG_LEVEL = "INFO"
SRC_LOG_LEVELS: defaultdict[str, int] = defaultdict(lambda: logging.INFO)
AIOHTTP_CLIENT_TIMEOUT: int | None = 300
AIOHTTP_CLIENT_SESSION_SSL = True
DATA_DIR = Path.cwd()
OFFLINE_MODE = True
ENV = "prod"
