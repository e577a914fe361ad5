"""How streams reach the client: an event a token, joined for a slow reader, and always an orderly end."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import Server
from tests.helpers.waiting import until
from uvicorn.protocols.http.flow_control import FlowControl

from pagoda.api.body_writer import BodyWriter
from pagoda.execute.scripted import Reply

WORDS = "The lamps go out along the quay. "
REPLIES = [
    Reply(WORDS, when="slowly", repeat=True, step_ms=5),
    Reply(WORDS, when="quickly", repeat=True),
    Reply(WORDS, when="broken", fault="raise", after=5),
    Reply(WORDS, when="broken at once", fault="raise", after=0),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("streaming")
    model = scripted_model(folder / "model", REPLIES, max_model_len=100_000)
    with scripted_server(model, folder / "server") as running:
        yield running


def body(how: str, max_tokens: int, **fields: Any) -> bytes:
    messages = [{"role": "user", "content": how}]
    options = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0}
    return json.dumps({"messages": messages, "max_tokens": max_tokens, **options, **fields}).encode()


def connect(server: Server, request: bytes, version: str = "1.1", receive_buffer: int = 0) -> socket.socket:
    """Sends a chat request by hand; the response is left unread."""
    host, port = server.base_url.removeprefix("http://").split(":")
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60)
    connection.connect((host, int(port)))
    head = f"POST /v1/chat/completions HTTP/{version}\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    connection.sendall(
        f"{head}Content-Length: {len(request)}\r\nConnection: close\r\n\r\n".encode() + request
    )
    return connection


def events(data: bytes) -> list[Any]:
    """The events of a body; the last one is [DONE] and is left out."""
    *found, last, rest = data.split(b"\n\n")
    assert (last, rest) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in found]


def stream(server: Server, request: bytes) -> list[Any]:
    connection = HTTPConnection(server.base_url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/v1/chat/completions", request, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200
    found = events(response.read())
    connection.close()
    return found


def contents(found: list[Any]) -> list[str]:
    deltas = [event["choices"][0]["delta"] for event in found if event.get("choices")]
    return [delta["content"] for delta in deltas if delta.get("content")]


def running(server: Server) -> int:
    connection = HTTPConnection(server.base_url.removeprefix("http://"), timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    [line] = [line for line in lines if line.startswith("vllm:num_requests_running{")]
    return int(float(line.split()[-1]))


def test_text_comes_in_events_and_ends_in_order(server: Server) -> None:
    found = stream(server, body("slowly", 40))
    texts = contents(found)
    assert 1 < len(texts) <= 40  # as many as tokens, where the machine keeps up
    assert (WORDS * 10).startswith("".join(texts))
    assert found[-1]["usage"]["completion_tokens"] == 40
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["finish_reason"] for event in found[:-1]] == [None] * (len(found) - 2) + [
        "length"
    ]


def test_a_slow_reader_gets_everything_in_fewer_events(server: Server) -> None:
    count = 80_000  # several times what the kernel takes off the server for the reader
    connection = connect(server, body("quickly", count), receive_buffer=4096)
    connection.recv(1, socket.MSG_PEEK)  # the answer has begun
    assert until(lambda: running(server) == 0, 60), "the engine waits for the reader"
    data = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    connection.close()
    head, _, chunked = data.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    found = events(unchunk(chunked))
    texts = contents(found)
    assert len(texts) < count / 2
    assert "".join(texts) == "".join(contents(stream(server, body("quickly", count))))
    assert found[-1]["usage"]["completion_tokens"] == count


def unchunk(data: bytes) -> bytes:
    """RFC 9112, section 7.1."""
    parts = []
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert data == b"\r\n"
            return b"".join(parts)
        parts.append(data[:length])
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]


def test_an_old_client_gets_the_same_without_chunks(server: Server) -> None:
    connection = connect(server, body("slowly", 12), version="1.0")
    data = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    connection.close()
    head, _, plain = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert "".join(contents(events(plain))) == "".join(contents(stream(server, body("slowly", 12))))


def test_a_client_that_goes_away_in_mid_stream_frees_the_engine(server: Server) -> None:
    connection = connect(server, body("slowly", 10_000))
    while b'"content":"' not in connection.recv(1 << 16):
        pass
    assert running(server) == 1
    connection.close()
    deadline = time.monotonic() + 30
    while running(server):
        assert time.monotonic() < deadline


def test_a_client_that_neither_reads_nor_stays_frees_the_engine(server: Server) -> None:
    connection = connect(server, body("slowly", 20_000, n=20), receive_buffer=4096)
    assert connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    deadline = time.monotonic() + 30
    while running(server):
        assert time.monotonic() < deadline


def test_a_failure_in_mid_stream_is_an_event_before_done(server: Server) -> None:
    found = stream(server, body("broken", 100))
    assert "".join(contents(found)) == "The lamp"  # five tokens
    assert found[-1]["error"]["code"] == 500
    assert "after 5 tokens" in found[-1]["error"]["message"]


def test_a_failure_before_the_first_token_is_a_status(server: Server) -> None:
    connection = HTTPConnection(server.base_url.removeprefix("http://"), timeout=60)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body("broken at once", 9), headers)
    response = connection.getresponse()
    assert response.status == 500
    assert "after 0 tokens" in json.loads(response.read())["error"]["message"]
    connection.close()


def test_several_answers_share_a_stream(server: Server) -> None:
    found = stream(server, body("slowly", 10, n=3, temperature=1))
    texts: dict[int, str] = {}
    for event in found[:-1]:
        for choice in event["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["delta"].get("content", "")
    assert sorted(texts) == [0, 1, 2]
    assert len(set(texts.values())) == 1
    assert found[-1]["usage"]["completion_tokens"] == 30


class Recorder(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += bytes(data)

    def is_closing(self) -> bool:
        return self.closing


def test_a_body_writer_frames_pieces_and_drops_empty_ones() -> None:
    transport = Recorder()
    flow = FlowControl(transport)
    writer = BodyWriter(transport, flow)
    for piece in (b"data: 1\n\n", b"", b"x" * 5000):
        writer.write(piece)
    assert unchunk(transport.data + b"0\r\n\r\n") == b"data: 1\n\n" + b"x" * 5000
    assert writer.free
    flow.pause_writing()
    assert (writer.free, writer.gone) == (False, False)
    flow.resume_writing()
    transport.closing = True
    assert (writer.free, writer.gone) == (False, True)
