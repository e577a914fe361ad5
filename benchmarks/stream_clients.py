"""Clients that stream, as many as wanted in one process, each asking again as soon as its answer has ended.

Reads events without parsing them, so that it takes a small part of what the server does. Speaks with
serving.py: its settings come as JSON in its argument; it says "start" and "end" around the measured time and
then its figures.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

_READ = 1 << 16
_END = b"\r\n0\r\n\r\n"  # of a response in chunks
_TEXT = (b'"content":"', b'"text":"', b'"reasoning":"')
_TOOLS = [{"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}]


@dataclass(slots=True)
class Client:
    """One connection and what its present answer has brought."""

    index: int
    connection: socket.socket
    asked: float = 0.0
    last: float = 0.0  #: when the last bytes with events came; 0 before the first
    tail: bytes = b""
    requests: int = 0


@dataclass(slots=True)
class Figures:
    """Of the measured time: seconds of each first event and between reads, and counts."""

    first: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    chunks: int = 0  #: events with text
    reads: int = 0
    answers: int = 0


class Load:
    """All clients. `run` measures for some seconds, after a warm-up in which they all have come in."""

    def __init__(self, port: int, streams: int, kind: str, max_tokens: tuple[int, int]) -> None:
        self._port, self._max_tokens = port, max_tokens
        self._chat, self._tools = kind != "completions", kind == "chat with parsers"
        self._random = random.Random(0)
        self._selector = selectors.DefaultSelector()
        self._clients = [self._connect(index) for index in range(streams)]

    def run(self, warm_seconds: float, seconds: float) -> Figures:
        begin = time.perf_counter()
        for number, client in enumerate(self._clients):
            self._serve(Figures(), begin + warm_seconds / 2 * number / len(self._clients))
            self._ask(client)
        self._serve(Figures(), begin + warm_seconds)
        figures = Figures()
        print("start", flush=True)
        self._serve(figures, time.perf_counter() + seconds)
        print("end", flush=True)
        return figures

    def _connect(self, index: int) -> Client:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(index, connection)
        self._selector.register(connection, selectors.EVENT_READ, client)
        return client

    def _ask(self, client: Client) -> None:
        client.requests += 1
        text = f"Client {client.index}, question {client.requests}: what does the town do in the morning?"
        body = {
            "model": "bench",
            "stream": True,
            "max_tokens": self._random.randint(*self._max_tokens),
            "stream_options": {"include_usage": True},
        }
        if self._chat:
            path, body["messages"] = "/v1/chat/completions", [{"role": "user", "content": text}]
            if self._tools:
                body["tools"] = _TOOLS
        else:
            path, body["prompt"] = "/v1/completions", text
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        client.connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        client.asked, client.last, client.tail = time.perf_counter(), 0.0, b""

    def _serve(self, figures: Figures, until: float) -> None:
        while (left := until - time.perf_counter()) > 0:
            for key, _ in self._selector.select(left):
                self._read(key.data, figures)

    def _read(self, client: Client, figures: Figures) -> None:
        data = client.connection.recv(_READ)
        now = time.perf_counter()
        if not data:
            raise SystemExit("the server closed a connection")
        if chunks := sum(map(data.count, _TEXT)):
            if client.last:
                figures.gaps.append(now - client.last)
            else:
                chunks -= self._chat  # the role chunk
                figures.first.append(now - client.asked)
            client.last = now
            figures.chunks += chunks
            figures.reads += 1
        elif not client.last and not data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server answered {data[:300]!r}")
        client.tail = (client.tail + data)[-len(_END) :]
        if client.tail == _END:
            figures.answers += 1
            self._ask(client)


def main() -> None:
    settings = json.loads(sys.argv[1])
    load = Load(settings["port"], settings["streams"], settings["kind"], tuple(settings["max_tokens"]))
    figures = load.run(settings["warm_seconds"], settings["seconds"])
    result = {name: getattr(figures, name) for name in Figures.__dataclass_fields__}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
