"""The address a server listens on: bound before anything slow happens, so that a conflict shows at once."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from pathlib import Path

from pagoda.cli.errors import UsageError

_LISTEN = "0A"  # the state in /proc/net/tcp


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not listening yet; port 0 takes a free one. UsageError with one line."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UsageError(f"the host {host!r} is not an address of this machine: {error.strerror}") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets may be bound at once with SO_REUSEADDR; only one may listen.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise UsageError(_explain(error, host, port)) from error
    listener.setblocking(False)
    return listener


def bind_unix(path: str) -> socket.socket:
    """A Unix domain socket that listens; a socket that nobody uses any more is replaced. UsageError with one
    line.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_over(path):
            Path(path).unlink()
        listener.bind(path)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"{path} exists already; stop its server, or give another --uds") from error
        raise UsageError(f"cannot listen on {path}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _is_left_over(path: str) -> bool:
    """Whether a socket lies there to which nobody listens."""
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port)
        who = f" by {holder}" if holder else ""
        return f"port {port} on {host} is in use{who}; stop that program or choose another port with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than yours; choose one from 1024 on with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{host} is not an address of this machine; use 127.0.0.1, 0.0.0.0 or one of its own with --host"
        )
    return f"cannot listen on {host}:{port}: {error.strerror}"


def port_holder(port: int) -> str | None:
    """The process that listens on `port`, as "pid 12 (command)"; None where that is not ours to see."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptors = list((process / "fd").iterdir())
            if any(os.readlink(descriptor) in sockets for descriptor in descriptors):
                words = (process / "cmdline").read_bytes().split(b"\0")
                shown = " ".join(word.decode(errors="replace") for word in words if word)
                return f"pid {process.name} ({shown[:60]})"
        except OSError:
            continue  # another user's process, or one that has just ended
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6, or without /proc
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(fields[9])
    return found


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_of(listener: socket.socket, host: str, scheme: str = "http") -> str:
    """The URL to open on this machine; of a Unix domain socket unix:PATH."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    port = listener.getsockname()[1]
    everywhere = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104
    shown = everywhere.get(host, host)
    if ":" in shown and not shown.startswith("["):
        shown = f"[{shown}]"
    return f"{scheme}://{shown}:{port}"
