from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.cli.command import one_line, pagoda
from tests.cli.services import service


def status(url: str, body: dict[str, str] | None = None, **headers: str) -> int:
    """Of a GET, or a POST of JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_model_that_makes_vectors_is_not_chatted_with(tmp_path: Path, gguf: Path) -> None:
    with service(tmp_path, str(gguf), "--runner", "pooling") as running:
        assert running.value("API") == running.value("Address") + "/v1"
        assert not any(line.strip().startswith("Chat") for line in running.block)


def test_a_service_says_what_it_is_serves_and_stops(tmp_path: Path, gguf: Path) -> None:
    with service(tmp_path, str(gguf), "--max-model-len", "256", "--threads", "1") as running:
        assert running.value("API") == f"{running.url}/v1"
        assert str(gguf) in running.value("Model")
        assert running.value("Context") == "256 tokens"
        assert "weights" in running.value("Memory")
        assert "cache" in running.value("Memory")
        assert running.value("Engine").startswith("1 thread,")
        assert running.value("Stop") == "Ctrl-C"
        answer = running.ask()
        assert answer["model"] == str(gguf)
        engines = children(running.process.pid)
        assert len(engines) == 1
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 0
        assert not any(Path(f"/proc/{engine}").exists() for engine in engines)


def test_a_second_server_and_a_port_in_use(tmp_path: Path, gguf: Path) -> None:
    with service(tmp_path / "first", str(gguf)) as running:
        port = running.url.rsplit(":", 1)[1]
        for command in (("serve", "--workspace"), ("up",)):
            same_folder = pagoda(tmp_path / "first", *command, str(gguf), "--port", "0")
            line = one_line(same_folder, 1)
            assert all(word in line for word in (f"pid {running.process.pid}", running.url, "PAGODA_HOME"))
        with service(tmp_path / "first", str(gguf)) as beside:  # it keeps nothing there
            told = next(line for line in beside.block if f"pid {running.process.pid}" in line)
            assert "serves the API alone" in told
            assert "in memory" in told
            assert beside.is_api_alone
            assert status(f"{beside.url}/") == 404
            assert beside.ask()["object"] == "chat.completion"
        same_port = pagoda(tmp_path / "second", "serve", str(gguf), "--port", port)
        line = one_line(same_port, 1)
        assert all(word in line for word in (f"port {port}", f"pid {running.process.pid}", "--port")), line
        assert running.ask()["object"] == "chat.completion"


def test_the_first_visitor_becomes_the_administrator_and_the_block_says_so(
    tmp_path: Path, gguf: Path
) -> None:
    promise = "whoever opens the page first becomes its administrator"
    with service(tmp_path, str(gguf)) as running:
        assert any(promise in line for line in running.notes)
        with urllib.request.urlopen(f"{running.url}/", timeout=60) as page:
            assert "<div id" in page.read().decode()
        account = {"name": "Ada", "email": "ada@example.org", "password": "a long password"}
        assert status(f"{running.url}/api/setup", account) == 200
    with service(tmp_path, str(gguf)) as running:
        assert not any("administrator" in line for line in running.notes)


@pytest.mark.parametrize(
    ("flags", "environ", "told"),
    [
        (("--host", "0.0.0.0"), {}, "open it now, or set WEBUI_ADMIN_EMAIL"),
        (("--host", "0.0.0.0"), {"WEBUI_AUTH": "False"}, "without signing in"),
        ((), {"WEBUI_ADMIN_EMAIL": "a@example.org", "WEBUI_ADMIN_PASSWORD": "a long password"}, None),
        ((), {"WEBUI_AUTH": "False"}, None),
        (("--no-workspace",), {}, None),
    ],
)
def test_who_may_come_in_is_said(
    tmp_path: Path, gguf: Path, flags: tuple[str, ...], environ: dict[str, str], told: str | None
) -> None:
    with service(tmp_path, str(gguf), *flags, **environ) as running:
        notes = [line for line in running.notes if "administrator" in line or "signing in" in line]
        assert [told is not None and told in line for line in notes] == ([] if told is None else [True])
        assert running.is_api_alone is ("--no-workspace" in flags)


def test_a_house_without_sign_in_is_for_this_machines_own_names(tmp_path: Path, gguf: Path) -> None:
    """A name of somebody else's that leads to 127.0.0.1 would make their page one of ours (DNS rebinding)."""
    with service(tmp_path, str(gguf), WEBUI_AUTH="False", PAGODA_HOSTS="chat.lab, other") as running:
        for host in ("localhost", "127.0.0.1:80", "[::1]:8000", "app.localhost", "CHAT.lab:8000"):
            assert status(f"{running.url}/api/me", Host=host) == 200, host
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[", ""):
            assert status(f"{running.url}/api/me", Host=host) == 403, host


def test_safe_mode_loads_no_function(tmp_path: Path, gguf: Path) -> None:
    for flags, expected in (((), False), (("--safe-mode",), True)):
        with (
            service(tmp_path, str(gguf), *flags, WEBUI_AUTH="False") as running,
            urllib.request.urlopen(f"{running.url}/api/admin/functions", timeout=60) as response,
        ):
            assert json.load(response)["safe_mode"] is expected


def test_a_port_that_a_foreign_program_holds(tmp_path: Path, gguf: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = one_line(pagoda(tmp_path, "serve", str(gguf), "--port", str(port)), 1)
    assert f"port {port} on 127.0.0.1 is in use by pid {os.getpid()}" in line


def test_a_host_that_is_not_ours(tmp_path: Path, gguf: Path) -> None:
    line = one_line(pagoda(tmp_path, "serve", str(gguf), "--host", "192.0.2.1", "--port", "0"), 1)
    assert "192.0.2.1 is not an address of this machine" in line


def test_a_data_folder_is_free_again_after_a_crash(tmp_path: Path, gguf: Path) -> None:
    with service(tmp_path, str(gguf)) as running:
        running.process.kill()
        running.process.wait()
    with service(tmp_path, str(gguf)) as running:
        assert running.ask()["object"] == "chat.completion"


def test_keys_names_and_sizes_from_options_and_environment(tmp_path: Path, folder: Path) -> None:
    options = ["--served-model-name", "tiny", "--quantization", "int8", "--max-num-seqs", "2"]
    with service(tmp_path, str(folder), *options, PAGODA_API_KEY="one, two") as running:
        assert "int8" in running.value("Model")
        assert running.value("Model").startswith("tiny ")
        assert "with an API key" in running.value("API")
        for key in ("one", "two"):
            assert running.ask(key)["model"] == "tiny"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            running.ask("three")


def test_up_takes_the_default_model_from_the_data_folder(tmp_path: Path, default_model_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "SmolLM2-135M-Instruct.Q4_1.gguf").symlink_to(default_model_path)
    with service(tmp_path, "--max-model-len", "512", command="up") as running:
        assert running.value("Model").startswith("smollm2:135m ")
        assert running.ask()["model"] == "smollm2:135m"
