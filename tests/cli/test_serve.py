from __future__ import annotations

import os
import signal
import socket
import urllib.error
from pathlib import Path

import pytest
from tests.cli.command import one_line, pagoda
from tests.cli.services import service


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
        same_folder = pagoda(tmp_path / "first", "serve", str(gguf), "--port", "0", "--workspace")
        line = one_line(same_folder, 1)
        assert all(word in line for word in (f"pid {running.process.pid}", running.url, "PAGODA_HOME"))
        with service(tmp_path / "first", str(gguf)) as beside:  # without one it keeps nothing there
            assert any(f"pid {running.process.pid}" in line and "in memory" in line for line in beside.block)
            assert beside.ask()["object"] == "chat.completion"
        same_port = pagoda(tmp_path / "second", "serve", str(gguf), "--port", port)
        line = one_line(same_port, 1)
        assert all(word in line for word in (f"port {port}", f"pid {running.process.pid}", "--port")), line
        assert running.ask()["object"] == "chat.completion"


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
