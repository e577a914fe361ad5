"""Runs a download in a process of its own and reads what it tells (see pagoda.hub.pull_process)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator

from pagoda.workspace.admin.model_hub import ModelHubError, PullNews

_log = logging.getLogger(__name__)


def sentence(text: str) -> str:
    """A line of the command line's errors as a sentence; names and addresses stay as they are."""
    first = text.partition(" ")[0]
    begins = text[:1].upper() if first.isalpha() else text[:1]
    return f"{begins}{text[1:]}{'' if text.endswith('.') else '.'}"


async def pull_apart(name: str, revision: str | None) -> AsyncGenerator[PullNews, None]:
    """Raises ModelHubError with the reason why the model cannot be had. Closing it ends the process and all
    that it has started.
    """
    command = [sys.executable, "-m", "pagoda.hub.pull_process", name, *([revision] if revision else [])]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    output, errors = process.stdout, process.stderr
    if output is None or errors is None:
        raise RuntimeError("the process was started without pipes")
    complaints = asyncio.create_task(errors.read())
    arrived = False
    try:
        async for line in output:
            values = json.loads(line)
            if "error" in values:
                raise ModelHubError(
                    sentence(values["error"]), 502, code=values["code"], values=values["values"]
                )
            if "ready" in values:
                if values["source"] == "local":
                    raise ModelHubError(
                        f"{name} is a file or folder of this machine.",
                        400,
                        code="hub_path",
                        values={"name": name},
                    )
                arrived = True
            yield PullNews(
                step=values.get("step"),
                done=values.get("done"),
                total=values.get("total"),
                message=values.get("message"),
                ready=values.get("ready"),
            )
        said = (await complaints).decode(errors="replace").strip()
        if not arrived:
            _log.error("the download of %s ended with %s: %s", name, await process.wait(), said)
            why = said.splitlines()[-1] if said else "see the log"
            raise ModelHubError(
                f"The download ended unexpectedly: {why}", 502, code="hub_ended", values={"reason": why}
            )
    finally:
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                _log.debug("the download of %s had ended", name)
        await process.wait()
        complaints.cancel()
        await asyncio.gather(complaints, return_exceptions=True)
