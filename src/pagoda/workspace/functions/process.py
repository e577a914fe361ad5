"""The server's end of the plugin process: starts it, sends calls, and ends it when one of them will not."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

import pagoda
from pagoda.workspace.functions.frames import PREFIX, FrameError, encode_frame
from pagoda.workspace.functions.messages import (
    LONGEST_FRAME,
    WINDOW,
    Answer,
    Call,
    Cancel,
    Emitted,
    Failure,
    Item,
    Limits,
    More,
    Ping,
    Pong,
    Printed,
    ProcessMessage,
    Question,
    Ready,
    Result,
    ServerMessage,
    Setup,
    Unknown,
)
from pagoda.workspace.functions.work import (
    MOST_EVENTS,
    Answerer,
    Code,
    Emit,
    PluginError,
    Work,
    ignore,
    knows_nothing,
)

_START_SECONDS = 30.0
_PROGRAM = "pagoda.workspace.functions.plugin_process"
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
_NESTED: ContextVar[bool] = ContextVar("_NESTED", default=False)
_log = logging.getLogger("pagoda.functions")


class PluginProcess:
    """The one process of all functions, from the first call on. All methods belong to one event loop.

    folder: its working folder and home. packages: where requirements are installed.
    """

    def __init__(self, folder: Path, packages: Path, version: str, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._folder, self._packages, self._version = folder, packages, version
        self._ids = itertools.count(1)
        self._work: dict[int, Work] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._alone = asyncio.Lock()  # held by a call that is tried again with no other beside it
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers = False  # whether the process has answered the last ping
        self._worn = False  # a function has filled the memory: the process is replaced when nothing runs

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return None if self._process is None else self._process.pid

    async def call(
        self, code: Code, hook: str, *, emit: Emit = ignore, answer: Answerer = knows_nothing, **fields: Any
    ) -> Any:
        """Runs a handler; fields: those of `messages.Call`. Raises PluginError."""
        work = self._new(code, hook, emit, answer, fields)
        await self._send_call(work)
        try:
            await self._watch(work)
        finally:
            self._leave(work)
        return work.done.result()

    async def items(
        self, code: Code, *, emit: Emit = ignore, answer: Answerer = knows_nothing, **fields: Any
    ) -> AsyncGenerator[Any, None]:
        """Runs a pipe; gives its items as they come. Raises PluginError; closing it ends the pipe."""
        work = self._new(code, "pipe", emit, answer, fields)
        await self._send_call(work)
        watch = self._spawn(self._watch(work))
        taken = 0
        try:
            while (item := await work.items.get()) is not None:
                yield item
                taken += 1
                if taken == WINDOW // 2:
                    taken = 0
                    self._send(More(work.call.id, WINDOW // 2))
            work.done.result()
        finally:
            watch.cancel()
            self._leave(work)

    async def stop(self) -> None:
        """Ends the process and every call."""
        for work in list(self._work.values()):
            work.fail("gone", "The server is stopping.")
        self._work.clear()
        await self._end()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def restart(self) -> None:
        """As soon as nothing runs: the next call starts another process."""
        self._worn = bool(self._work)
        if not self._work:
            await self._end()

    def _new(self, code: Code, hook: str, emit: Emit, answer: Answerer, fields: dict[str, Any]) -> Work:
        call = Call(id=next(self._ids), function_id=code.id, digest=code.digest, hook=hook, **fields)
        return Work(code, call, self.limits, emit, answer)

    async def _send_call(self, work: Work) -> None:
        if not _NESTED.get() and self._alone.locked():
            async with self._alone:
                pass
        await self._started()
        self._work[work.call.id] = work
        work.begin()
        try:
            self._send(work.call)
        except FrameError as error:
            self._work.pop(work.call.id, None)
            raise PluginError(work.code.id, "nonsense", f"The request cannot be sent: {error}.") from error

    async def _watch(self, work: Work) -> None:
        """Waits for the end of a call, and makes one that runs too long end."""
        while not work.done.done():
            if (left := work.remaining()) <= 0:
                _log.warning("function %s: %s ran too long and is ended", work.code.id, work.call.hook)
                await self._end_late(work)
                continue
            await asyncio.wait({work.done}, timeout=left)

    async def _end_late(self, work: Work) -> None:
        """Makes a call end that ran too long, with the process if need be. Where the process answers nobody,
        somebody holds its interpreter, and nobody can say who: all calls are tried again, one at a time.
        """
        process, self._answers = self._process, False
        self._send(Cancel(work.call.id, "time"))
        self._send(Ping())
        if await self._ends(work) or process is not self._process:
            return
        if self._answers or work.alone or len(self._work) == 1:
            work.fail("time", "It ran too long and was ended.")
            self._work.pop(work.call.id, None)
            await self._kill(f"function {work.code.id} does not end")
        else:
            await self._kill("it answers nobody")

    async def _ends(self, work: Work) -> bool:
        await asyncio.wait({work.done}, timeout=self.limits.grace_seconds)
        return work.done.done()

    def _leave(self, work: Work) -> None:
        """Nobody waits for this call any more."""
        if work.done.done():
            self._work.pop(work.call.id, None)
            if self._worn and not self._work:
                self._worn = False
                self._spawn(self._reaped(self._let_go()))
            return
        self._send(Cancel(work.call.id, "gone"))
        self._spawn(self._see_off(work))

    async def _see_off(self, work: Work) -> None:
        if not await self._ends(work):
            work.fail("gone", "Nobody waits for it any more.")
            self._work.pop(work.call.id, None)
            await self._kill(f"function {work.code.id} does not end when it is told to")
        self._leave(work)

    async def _started(self) -> None:
        async with self._starting:
            if self._writer is not None:
                return
            ours, theirs = socket.socketpair()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._packages.mkdir(parents=True, exist_ok=True)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", _PROGRAM, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    env=self._environment(),
                    start_new_session=True,
                )
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._send(Setup(self.limits, str(self._folder), str(self._packages), self._version))
            ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._reading = self._spawn(self._read(reader, self._process, ready))
            try:
                await asyncio.wait_for(asyncio.shield(ready), _START_SECONDS)
            except (TimeoutError, ConnectionError) as error:
                await self._end()
                raise PluginError("", "died", "The plugin process does not start.") from error

    def _environment(self) -> dict[str, str]:
        """Nothing of the server's that could be a secret."""
        home = str(Path(pagoda.__file__).resolve().parent.parent)
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        folder = str(self._folder)
        return {
            **kept,
            "HOME": folder,
            "TMPDIR": folder,
            "PYTHONPATH": os.pathsep.join(paths),
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }

    async def _read(
        self, reader: asyncio.StreamReader, process: subprocess.Popen[bytes], ready: asyncio.Future[None]
    ) -> None:
        decoder: msgspec.msgpack.Decoder[ProcessMessage] = msgspec.msgpack.Decoder(ProcessMessage)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(PREFIX), "little")
                if size > LONGEST_FRAME:
                    raise ValueError("a message is longer than any can be")
                message = decoder.decode(await reader.readexactly(size))
                if isinstance(message, Ready):
                    ready.set_result(None)
                else:
                    self._take(message)
        except (EOFError, OSError):
            pass
        except ValueError as error:
            _log.error("the plugin process talks nonsense (%s) and is ended", error)
        finally:
            if not ready.done():
                ready.set_exception(ConnectionError("it ended"))
                ready.exception()
        if process is self._process:
            await self._died(process)

    def _take(self, message: ProcessMessage) -> None:
        if isinstance(message, Printed):
            for line in message.text.splitlines():
                _log.info("function %s prints: %s", message.function_id or "-", line)
            if message.dropped:
                _log.warning(
                    "function %s prints too much: %d lines dropped", message.function_id, message.dropped
                )
            return
        if isinstance(message, Question):
            self._spawn(self._reply(message))
            return
        if isinstance(message, Pong):
            self._answers = True
            return
        if isinstance(message, Ready) or (work := self._work.get(message.id)) is None:
            return
        work.alive()
        match message:
            case Unknown():
                self._send(msgspec.structs.replace(work.call, content=work.code.content))
            case Result(value=value):
                work.succeed(value)
            case Failure() as failure:
                self._worn = self._worn or failure.kind == "memory"
                work.fail(failure.kind, failure.message, failure.line)
            case Item(value=value):
                work.delivered = True
                work.items.put_nowait(value)
            case Emitted(event=event):
                work.events += 1
                if work.events > MOST_EVENTS:
                    self._send(Cancel(work.call.id, "nonsense"))
                else:
                    work.emit(event)

    async def _reply(self, question: Question) -> None:
        """Answers what a function asks, in the name of the call that it runs for."""
        work = None if question.call_id is None else self._work.get(question.call_id)
        _NESTED.set(True)
        human = question.what == "event_call" and work is not None
        if human and work is not None:
            work.asking += 1
        try:
            answer = knows_nothing if work is None else work.answer
            reply = Answer(question.id, await answer(question.what, question.arguments))
        except Exception as error:
            reply = Answer(question.id, error=str(error) or type(error).__name__)
        finally:
            if human and work is not None:
                work.asking -= 1
                work.begin()
        try:
            self._send(reply)
        except FrameError as error:
            self._send(Answer(question.id, error=str(error)))

    def _send(self, message: ServerMessage) -> None:
        if self._writer is not None:
            self._writer.write(encode_frame(message))

    async def _kill(self, why: str) -> None:
        _log.error("the plugin process is ended: %s", why)
        process = self._process
        if process is not None:
            _kill_group(process)
            await self._died(process)

    async def _died(self, process: subprocess.Popen[bytes]) -> None:
        """What was in it is tried again, one at a time; who was alone in it is to blame."""
        if process is not self._process:
            return
        left = list(self._work.values())
        self._work.clear()
        await self._end()
        code = process.returncode
        if left:
            names = ", ".join(sorted({work.code.id for work in left}))
            _log.error("the plugin process died (status %s) while it ran %s", code, names)
        for work in left:
            if len(left) == 1 or work.alone or work.delivered:
                work.fail("died", "The plugin process died while it ran.")
            else:
                work.alone = work.queued = True
                self._spawn(self._again(work))

    async def _again(self, work: Work) -> None:
        async with self._alone:
            if work.done.done():
                return
            try:
                await self._started()
            except PluginError as error:
                work.fail(error.kind, str(error))
                return
            self._work[work.call.id] = work
            work.queued = False
            work.begin()
            self._send(msgspec.structs.replace(work.call, content=work.code.content))
            await asyncio.wait({work.done})

    async def _end(self) -> None:
        await self._reaped(self._let_go())

    def _let_go(self) -> subprocess.Popen[bytes] | None:
        """From here on there is no process; the next call starts another one."""
        process, writer = self._process, self._writer
        self._process = self._writer = None
        if writer is not None:
            writer.close()
        return process

    @staticmethod
    async def _reaped(process: subprocess.Popen[bytes] | None) -> None:
        if process is not None:
            _kill_group(process)
            await asyncio.to_thread(process.wait)

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """With everything that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
