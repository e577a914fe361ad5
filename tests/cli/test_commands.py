from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from tests.cli.command import one_line, pagoda

import pagoda as package
from pagoda.cli.commands import COMMANDS
from pagoda.cli.main import run
from pagoda.cli.options import parse_count


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_names_every_command(tmp_path: Path, arguments: list[str]) -> None:
    ended = pagoda(tmp_path, *arguments)
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert "..." not in ended.stdout.partition("Commands:")[2]
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\s+\w", ended.stdout, re.MULTILINE), ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0
    assert f"pagoda {command}" in capsys.readouterr().out


def test_version(tmp_path: Path) -> None:
    assert pagoda(tmp_path, "--version").stdout == f"pagoda {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frob"], ["frob", "pagoda --help"]),
        (["serve"], ["MODEL", "pagoda serve --help"]),
        (["serve", "x", "--prot", "1"], ["--prot", "--port"]),
        (["serve", "x", "--port", "70000"], ["--port"]),
        (["serve", "x", "--max-model-len", "many"], ["'many'", "32k"]),
        (["serve", "x", "--quantization", "int2"], ["int2", "int4"]),
        (["serve", "x", "--threads", "0"], ["--threads"]),
        (["chat", "x", "--temperature", "nan"], ["--temperature"]),
    ],
)
def test_wrong_usage_gives_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("pagoda: ")
    assert said.err.count("\n") == 1
    assert all(word in said.err for word in words), said.err


def test_the_exit_code_is_the_process_s(tmp_path: Path) -> None:
    assert "pagoda --help" in one_line(pagoda(tmp_path, "frob"), 2)


@pytest.mark.parametrize(
    ("command", "model", "words"),
    [
        ("serve", "./nothing.gguf", ["no file or folder"]),
        ("chat", "smollm", ["did you mean smollm2:135m"]),
        ("inspect", "smollm", ["did you mean smollm2:135m"]),
        ("pull", "org/name", ["org/name", "HF_HUB_OFFLINE"]),
    ],
)
def test_an_unknown_model_gives_one_line(tmp_path: Path, command: str, model: str, words: list[str]) -> None:
    line = one_line(pagoda(tmp_path, command, model, stdin="hello"), 1)
    assert all(word in line for word in words), line


@pytest.mark.parametrize("command", ["serve", "chat", "inspect"])
def test_a_broken_file_gives_one_line(tmp_path: Path, gguf: Path, command: str) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(gguf.read_bytes()[:1000])
    extra = ["--port", "0"] if command == "serve" else []
    line = one_line(pagoda(tmp_path, command, str(broken), *extra, stdin="hello"), 1)
    assert "broken.gguf" in line


def test_a_context_beyond_the_model_gives_one_line(tmp_path: Path, gguf: Path) -> None:
    ended = pagoda(tmp_path, "chat", str(gguf), "--max-model-len", "1m", stdin="hello")
    assert "1,000,000" in one_line(ended, 1)


def test_debugging_shows_the_traceback(tmp_path: Path) -> None:
    ended = pagoda(tmp_path, "inspect", "./nothing.gguf", PAGODA_DEBUG="1")
    assert "Traceback" in ended.stderr
    assert ended.returncode == 1


def test_list_shows_the_catalog_and_what_is_here(tmp_path: Path, gguf: Path) -> None:
    ended = pagoda(tmp_path, "list")
    assert "smollm2:135m" in ended.stdout
    assert "pagoda pull smollm2:135m" in ended.stdout
    own = tmp_path / "models" / "own.gguf"
    own.parent.mkdir()
    own.write_bytes(gguf.read_bytes())
    snapshot = tmp_path / "hf" / "hub" / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    (snapshot / "tiny-Q8_0.gguf").write_bytes(b"GGUF")
    listed = pagoda(tmp_path, "list").stdout
    assert str(own) in listed
    assert "org/name/tiny-Q8_0.gguf" in listed
    removed = pagoda(tmp_path, "rm", "org/name/tiny-Q8_0.gguf")
    assert "is removed" in removed.stdout
    assert "tiny-Q8_0" not in pagoda(tmp_path, "list").stdout
    assert "pagoda list" in one_line(pagoda(tmp_path, "rm", "org/name"), 1)


def test_pull_verifies_what_is_here(tmp_path: Path, gguf: Path) -> None:
    assert f"{gguf} is ready" in pagoda(tmp_path, "pull", str(gguf)).stdout


def test_inspect_prints_sizes_and_the_program(tmp_path: Path, gguf: Path, folder: Path) -> None:
    for model in (gguf, folder):
        ended = pagoda(tmp_path, "inspect", str(model))
        assert ended.returncode == 0, ended.stderr
        for word in ("Weights", "Cache", "yes: 512 tokens", "320 tokens", "2 times:", "Attention", "Logits"):
            assert word in ended.stdout
    assert " int8" in pagoda(tmp_path, "inspect", str(folder), "-q", "int8").stdout


def test_inspect_says_what_does_not_fit(tmp_path: Path, gguf: Path) -> None:
    ended = pagoda(tmp_path, "inspect", str(gguf), "--max-model-len", "1000")
    assert "no: max_model_len is 1,000" in ended.stdout


def test_doctor_reports_every_part(tmp_path: Path) -> None:
    ended = pagoda(
        tmp_path, "doctor", PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null", PIP_FIND_LINKS=str(tmp_path)
    )
    for part in ("Processor", "Kernels", "Memory", "Memory speed", "Data folder", "Port", "Hugging Face"):
        assert re.search(rf"^(ok|note|problem)\s+{part}\s", ended.stdout, re.MULTILINE), ended.stdout
    assert re.search(r"^note\s+Package index", ended.stdout, re.MULTILINE)
    assert re.search(r"^note\s+Default model\s+not here yet", ended.stdout, re.MULTILINE)


def test_doctor_finds_a_data_folder_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = pagoda(tmp_path / "file", "doctor", PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert ended.returncode == 1
    assert re.search(r"^problem\s+Data folder .*PAGODA_HOME", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "count"),
    [("4096", 4096), ("32k", 32_000), ("32K", 32_768), ("1.5k", 1500), ("2G", 2**31), ("1m", 10**6)],
)
def test_counts_have_vllms_suffixes(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "k", "-1", "0", "1.5", "0.0001k", "1e3", "32kb", "nan"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_count(text)
