"""The log of a running service: lines on standard error, in the form of vLLM's."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pagoda.cli.errors import UsageError

_FORMAT = "%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def configure_logging(environ: Mapping[str, str], beside: logging.Handler | None = None) -> bool:
    """Lets Pagoda's own log be seen, from VLLM_LOGGING_LEVEL (INFO) up; VLLM_CONFIGURE_LOGGING=0 leaves it to
    others, which the result tells. beside: gets what is seen, of libraries as well. Raises UsageError for a
    level that does not exist.
    """
    level = environ.get("VLLM_LOGGING_LEVEL", "").strip().upper() or "INFO"
    if level not in _LEVELS:
        raise UsageError(f"VLLM_LOGGING_LEVEL is {level!r}, not one of {', '.join(_LEVELS)}")
    if environ.get("VLLM_CONFIGURE_LOGGING", "").strip() == "0":
        return False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT, "%m-%d %H:%M:%S"))
    log = logging.getLogger("pagoda")
    log.handlers = [handler]
    log.setLevel(level)
    log.propagate = False
    if beside is not None:
        log.addHandler(beside)
        logging.getLogger().handlers = [handler, beside]  # libraries' warnings
    return True
