from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from tests.cli.command import PAGODA, environment, one_line, pagoda

from pagoda.cli.chat_terminal import read_message

PROMPT = "> "
SECONDS = 120


@contextmanager
def terminal(home: Path, *arguments: str) -> Iterator[pexpect.spawn]:
    """`pagoda chat` on a terminal of 80 columns, at its first prompt."""
    child = pexpect.spawn(
        PAGODA[0],
        [*PAGODA[1:], "chat", *arguments],
        env=environment(home),
        dimensions=(24, 80),
        encoding="utf-8",
        codec_errors="replace",
        timeout=SECONDS,
        # Tests that run in the background of a shell have inherited that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        child.expect("Ctrl-D leaves")
        child.expect(PROMPT)
        yield child
    finally:
        child.close(force=True)


def leave(child: pexpect.spawn) -> int | None:
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_answers_show_their_figures_and_ctrl_d_leaves(tmp_path: Path, gguf: Path) -> None:
    with terminal(tmp_path, str(gguf), "--max-tokens", "6", "--seed", "1") as child:
        child.sendline("hello")
        child.expect(r"\d+ tokens?.*first after \d")
        child.expect(PROMPT)
        assert leave(child) == 0


def test_ctrl_c_stops_the_answer_and_not_the_chat(tmp_path: Path, default_model_path: Path) -> None:
    with terminal(tmp_path, str(default_model_path), "--temperature", "0", "--max-tokens", "6000") as child:
        child.sendline("Write a very long story about a dragon and a king.")
        child.expect(r"a king\.")  # the terminal's echo
        child.expect(r"[A-Za-z]{3}")  # the answer has begun
        child.sendintr()
        child.expect("stopped")
        assert "^C" not in child.before, "an echo would spoil what is being redrawn"
        child.expect(PROMPT)
        child.sendintr()
        child.expect("/exit leaves")
        child.expect(PROMPT)
        child.sendline("Say hello.")
        child.expect(r"tokens?.*first after")
        child.expect(PROMPT)
        assert leave(child) == 0


def test_commands(tmp_path: Path, gguf: Path) -> None:
    saved = tmp_path / "chat.md"
    with terminal(tmp_path, str(gguf), "--max-tokens", "4", "--system", "Be brief.") as child:

        def say(line: str, answer: str) -> None:
            child.sendline(line)
            child.expect(answer)
            child.expect(PROMPT)

        say("/help", r"/system \[TEXT\]")
        say("/system", "System prompt: Be brief")
        say("/system Be kind.", "System prompt: Be kind")
        say("/model", "512 tokens of context")
        say("/nonsense", "not a command")
        say("hello", "first after")
        say(f"/save {saved}", "Saved to")
        say(f"/save {saved}", "exists already")
        say("/clear", "forgotten")
        child.sendline("/exit")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
    assert re.match(r"## system\n\nBe kind\.\n\n## user\n\nhello\n\n## assistant\n\n", saved.read_text())


def test_a_pipe_gets_the_answer_alone(tmp_path: Path, default_model_path: Path) -> None:
    ended = pagoda(
        tmp_path, "chat", str(default_model_path), "--temperature", "0", stdin="What is 2+2? Answer shortly."
    )
    assert ended.returncode == 0
    assert all(line.startswith("Loading") for line in ended.stderr.splitlines()), "nothing else is said"
    assert "4" in ended.stdout
    assert ended.stdout.endswith("\n")
    assert "tokens" not in ended.stdout


def test_a_seed_repeats_an_answer(tmp_path: Path, gguf: Path) -> None:
    def answer(seed: str) -> str:
        options = ["--seed", seed, "--temperature", "1", "--max-tokens", "12"]
        return pagoda(tmp_path, "chat", str(gguf), *options, stdin="hello").stdout

    assert answer("5") == answer("5") != answer("6")


def test_an_empty_pipe_gives_one_line(tmp_path: Path, gguf: Path) -> None:
    assert "empty" in one_line(pagoda(tmp_path, "chat", str(gguf), stdin=" \n"), 1)


def test_a_message_longer_than_the_context_gives_one_line(tmp_path: Path, gguf: Path) -> None:
    ended = pagoda(tmp_path, "chat", str(gguf), stdin="long " * 1000)
    assert "--max-model-len" in one_line(ended, 1)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["one line"], "one line"),
        (["first \\", "second \\", "third"], "first \nsecond \nthird"),
        (['"""', "def f():", "    return 1", '"""'], "def f():\n    return 1"),
        (['"""a', 'b"""'], "a\nb"),
        (['"""short"""'], "short"),
        (['"""', "", "x", '"""'], "x"),
    ],
)
def test_messages_of_several_lines(typed: list[str], message: str) -> None:
    lines = iter(typed)
    assert read_message(lambda _: next(lines)) == message
    assert next(lines, None) is None
