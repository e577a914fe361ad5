"""Reading what somebody else made, in a process that may run out of time or memory and hurts nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.files.worker_process import NO_MEMORY


@dataclass(frozen=True, slots=True)
class Workers:
    """seconds: until a worker is ended. memory: bytes of address space that it gets, with Python itself.
    turns: how many run at once; the others wait.
    """

    seconds: float
    memory: int
    turns: asyncio.Semaphore

    async def run(self, module: str, arguments: Sequence[str], param: str) -> dict[str, Any]:
        """The module's answer. Raises WorkspaceError 400 with the worker's sentence, or one for its end."""
        async with self.turns:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                str(int(self.seconds) + 1),
                str(self.memory),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                output, _ = await asyncio.wait_for(process.communicate(), self.seconds)
            except TimeoutError as error:
                raise WorkspaceError(
                    400, "It takes too long to be read.", param=param, code="file_slow"
                ) from error
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError as error:  # it was killed: by the limit of its memory or of its time
            raise WorkspaceError(400, NO_MEMORY, param=param, code="file_memory") from error
        if "error" in answer:
            raise WorkspaceError(
                400, answer["error"], param=param, code=answer.get("code"), values=answer.get("values")
            )
        return answer
