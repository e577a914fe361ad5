"""`pagoda chat --url` and `pagoda complete`: the terminal against any server with OpenAI's API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pexpect
import pytest
from tests.cli.command import PAGODA, environment, one_line, pagoda
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import Server

from pagoda.cli.api_client import ApiClient, base_url, find_key
from pagoda.cli.errors import UsageError

KEY = "secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("remote")
    replies = [
        ("think of it", "<think>\nlong thoughts\n</think>\n\nThe answer is 42."),
        ("Once upon", " a time there was a pagoda."),
        ("second question", "second answer"),
    ]
    model = scripted_model(folder / "model", replies, default="Hello there.")
    with scripted_server(model, folder, "--reasoning-parser", "qwen3", "--api-key", KEY) as running:
        yield running


def ask(tmp_path: Path, server: Server, *arguments: str, stdin: str = "") -> str:
    ended = pagoda(tmp_path, *arguments, "--url", server.base_url, stdin=stdin, OPENAI_API_KEY=KEY)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_one_question(tmp_path: Path, server: Server) -> None:
    assert ask(tmp_path, server, "chat", "-q", "hi") == "Hello there.\n"
    assert ask(tmp_path, server, "chat", "--model-name", server.model, stdin="hi\n") == "Hello there.\n"
    assert ask(tmp_path, server, "chat", "-q", "x", "--system-prompt", "second question") == "second answer\n"
    assert ask(tmp_path, server, "chat", "-q", "hi", "--max-tokens", "1") != "Hello there.\n"


def test_reasoning_is_shown(tmp_path: Path, server: Server) -> None:
    said = ask(tmp_path, server, "chat", "--quick", "think of it")
    assert said.startswith("<think>\n")
    assert said.count("long thoughts") == said.count("</think>") == 1
    assert said.rstrip().endswith("The answer is 42.")


def test_completions(tmp_path: Path, server: Server) -> None:
    said = ask(tmp_path, server, "complete", "-q", "Once upon", "--max-tokens", "100")
    assert said == " a time there was a pagoda.\n"
    assert ask(tmp_path, server, "complete", "--max-tokens", "100", stdin="Once upon") == said


def test_a_conversation_in_the_terminal(tmp_path: Path, server: Server) -> None:
    child = pexpect.spawn(
        PAGODA[0],
        [*PAGODA[1:], "chat", "--url", f"{server.base_url}/v1", "--api-key", KEY],
        env=environment(tmp_path),
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=60,
    )
    try:
        child.expect(f"{server.model} at {server.base_url}/v1")
        child.expect("> ")
        child.sendline("hi")
        child.expect("Hello there")
        child.expect(r"\d+ tokens.*first after \d")
        child.expect("> ")
        child.sendline("second question")
        child.expect("second answer")
        child.expect("> ")
        child.sendline("/exit")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0


def test_completions_in_the_terminal(tmp_path: Path, server: Server) -> None:
    child = pexpect.spawn(
        PAGODA[0],
        [*PAGODA[1:], "complete", "--url", server.base_url, "--api-key", KEY, "--max-tokens", "50"],
        env=environment(tmp_path),
        encoding="utf-8",
        timeout=60,
    )
    try:
        child.expect("> ")
        child.sendline("Once upon")
        child.expect("there was a pagoda")
        child.expect("> ")
        child.sendeof()
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0


@pytest.mark.parametrize("command", ["chat", "complete"])
def test_what_goes_wrong_is_one_line(tmp_path: Path, server: Server, command: str) -> None:
    closed = pagoda(tmp_path, command, "--url", "http://127.0.0.1:1", "-q", "hi")
    line = one_line(closed, 1)
    assert all(word in line for word in ("http://127.0.0.1:1/v1 cannot be reached", "pagoda serve"))
    wrong = pagoda(tmp_path, command, "--url", server.base_url, "--api-key", "wrong", "-q", "hi")
    assert "401: Unauthorized; give a key with --api-key" in one_line(wrong, 1)
    missing = [command, "--url", server.base_url, "--api-key", KEY, "--model-name", "nope", "-q", "hi"]
    assert "404: The model `nope` does not exist." in one_line(pagoda(tmp_path, *missing), 1)
    empty = pagoda(tmp_path, command, "--url", server.base_url, "--api-key", KEY, stdin="")
    assert "the input is empty" in one_line(empty, 1)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h:1", "http://h:1/v1"),
        ("http://h:1/", "http://h:1/v1"),
        ("h:1/v1/", "http://h:1/v1"),
        ("https://h/api/v3", "https://h/api/v3"),
        ("localhost", "http://localhost/v1"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize("text", ["ftp://h", "http://", "http://:80"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        base_url(text)


def test_keys_come_from_the_command_or_the_environment() -> None:
    assert find_key("a", {"OPENAI_API_KEY": "b"}) == "a"
    assert find_key(None, {"OPENAI_API_KEY": "b", "VLLM_API_KEY": "c"}) == "b"
    assert find_key(None, {"VLLM_API_KEY": "c, d"}) == "c"
    assert find_key(None, {}) is None
    assert find_key(None, dict.fromkeys(os.environ, "")) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('data: {"error": {"message": "the engine died"}}\n\ndata: [DONE]\n\n', "failed: the engine died"),
        ("data: nonsense\n\n", "something else than JSON"),
        ("data: 3\n\n", "something else than a chunk"),
    ],
)
async def test_a_stream_that_fails(body: str, words: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=": hello\n\n" + body))
    client = ApiClient("http://h", None, transport)
    with pytest.raises(UsageError, match=words):
        async for _ in client.stream("/completions", {}):
            pass
    await client.close()
