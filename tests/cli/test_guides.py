"""Command lines of widely followed guides for vLLM: each starts a server that answers, when the name of the
command and the path of the model are changed.
"""

from __future__ import annotations

import json
import os
import shlex
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import httpx
import pytest
from tests.cli.command import one_line, pagoda
from tests.cli.services import service
from tests.helpers.models import TinySizes, tiny_folder

SERVE = "vllm serve"
OLD_SERVE = "python -m vllm.entrypoints.openai.api_server"

#: name: command line with the model as MODEL, and the context and name it must have
GUIDES = {
    "many accelerators": (
        SERVE
        + """ MODEL \\
      --trust-remote-code \\
      --tensor-parallel-size 16 \\
      --max-model-len 131072 \\
      --enforce-eager \\
      --host 0.0.0.0 \\
      --port 8000 \\
      --served-model-name Qwen3-235B-A22B-Instruct-2507-FP8""",
        131_072,
        "Qwen3-235B-A22B-Instruct-2507-FP8",
    ),
    "longer context, with a line break inside the JSON": (
        SERVE
        + """ MODEL --rope-scaling '{"rope_type":"yarn","factor":4.0,"
original_max_position_embeddings":32768}' --max-model-len 131072""",
        131_072,
        "MODEL",
    ),
    "on a CPU": (
        SERVE
        + " MODEL --served-model-name Qwen/Qwen2.5-1.5B-Instruct --port 8000 --host 0.0.0.0 --device cpu "
        "--disable-frontend-multiprocessing",
        32_768,
        "Qwen/Qwen2.5-1.5B-Instruct",
    ),
    "reasoning and tools": (
        SERVE
        + """ MODEL \\
  --enable-reasoning --reasoning-parser deepseek_r1 \\
  --served-model-name QwQ-32B \\
  --tool-call-parser hermes \\
  --max-model-len=68864 \\
  --tensor-parallel-size 4 \\
  --port 8000""",
        68_864,
        "QwQ-32B",
    ),
    "the older module": (
        OLD_SERVE + " --model MODEL  --served-model-name Qwen2.5-Coder-7B-Instruct --max-model-len=2048",
        2048,
        "Qwen2.5-Coder-7B-Instruct",
    ),
    "the arguments of a container": (
        OLD_SERVE
        + """ --dtype bfloat16 --served-model-name Qwen-32B \\
--model "MODEL" \\
--tensor-parallel-size 1 \\
--gpu-memory-utilization 0.95 \\
--max-model-len 81920 \\
--api-key token-abc123 \\
--enforce-eager""",
        81_920,
        "Qwen-32B",
    ),
}
#: what older guides run, by the guide: both of our modules serve
MODULES = {
    "the older module": "pagoda.api.server",
    "the arguments of a container": "pagoda.entrypoints.openai.api_server",
}
#: contexts of the models that the guides name
LENGTHS = {"longer context, with a line break inside the JSON": 40_960, "on a CPU": 32_768}


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Tiny models by the length of their context."""
    folder = tmp_path_factory.mktemp("guides")
    return {
        length: tiny_folder(
            folder / str(length),
            "qwen2",
            sizes=TinySizes(num_hidden_layers=1, max_position_embeddings=length),
        )
        for length in (32_768, 40_960, 131_072)
    }


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_s_command_line_serves(tmp_path: Path, long_model: dict[int, Path], name: str) -> None:
    line, context, served = GUIDES[name]
    model = str(long_model[LENGTHS.get(name, 131_072)])
    program = [sys.executable, "-m", MODULES[name]] if line.startswith(OLD_SERVE) else []
    arguments = (
        line.removeprefix(OLD_SERVE).removeprefix(SERVE).replace("\\\n", " ")
    )  # as a shell joins lines
    words = shlex.split(arguments.replace("MODEL", model))
    with service(tmp_path, *words, program=program, CUDA_VISIBLE_DEVICES="0,1,2,3") as running:
        assert running.value("Context") == f"{context:,} tokens"
        answer = running.ask("token-abc123" if "--api-key" in words else None)
        assert answer["model"] == served.replace("MODEL", model)
        for line in running.block:
            assert not line.startswith("pagoda: internal")
        idle = {"--enforce-eager": "no effect", "--enable-reasoning": "old", "--device": "old"}
        for flag, word in idle.items():
            assert (flag in words) == any(flag in line and word in line for line in running.block)


@pytest.mark.parametrize("module", MODULES.values())
def test_the_modules_fail_with_one_line(module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module, "--prot"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("pagoda: there is no flag --prot; did you mean --port")


def test_a_config_file_starts_a_server(tmp_path: Path, gguf: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(f"model: {gguf}\nserved-model-name: [from-file]\nmax-model-len: 0.25K\nport: 1\n")
    with service(tmp_path, "--config", str(file)) as running:
        assert running.value("Context") == "256 tokens"
        assert running.ask()["model"] == "from-file"


def test_a_unix_socket(tmp_path: Path, gguf: Path) -> None:
    path = tmp_path / "s.sock"
    with service(tmp_path, str(gguf), "--uds", str(path)) as running:
        assert running.url == f"unix:{path}"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:
            assert client.get("/health").status_code == 200
        other = tmp_path / "other"
        assert "exists already" in one_line(pagoda(other, "serve", str(gguf), "--uds", str(path)), 1)
        running.process.kill()
        running.process.wait()
    assert path.exists(), "a killed server leaves its socket"
    with service(tmp_path, str(gguf), "--uds", str(path)):
        assert path.exists(), "and the next takes its place"
    assert not path.exists()


def test_https(tmp_path: Path, gguf: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=x"
    )
    try:
        subprocess.run(shlex.split(command), check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl to make a certificate")
    files = ["--ssl-keyfile", str(key), "--ssl-certfile", str(certificate)]
    with service(tmp_path, str(gguf), *files) as running:
        assert running.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate))
        trust.check_hostname = False
        with urllib.request.urlopen(running.url + "/v1/models", context=trust, timeout=60) as response:
            assert json.load(response)["object"] == "list"
    demands = ["--ssl-ca-certs", str(certificate), "--ssl-cert-reqs", "2"]
    with service(tmp_path, str(gguf), *files, *demands) as running:
        with pytest.raises((urllib.error.URLError, OSError)):
            urllib.request.urlopen(running.url + "/health", context=trust, timeout=60)
        trust.load_cert_chain(certificate, key)
        with urllib.request.urlopen(running.url + "/health", context=trust, timeout=60) as response:
            assert response.status == 200


def test_a_layer_of_the_user_s(tmp_path: Path, gguf: Path) -> None:
    (tmp_path / "layer.py").write_text(
        "async def refuse(request, call_next):\n"
        "    from starlette.responses import PlainTextResponse\n"
        "    return PlainTextResponse('closed', 418)\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with service(tmp_path, str(gguf), "--middleware", "layer.refuse", PYTHONPATH=paths) as running:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(running.url + "/health", timeout=60)
        assert caught.value.code == 418


def test_a_layer_that_changes_bodies_sees_all_of_a_stream(tmp_path: Path, gguf: Path) -> None:
    (tmp_path / "louder.py").write_text(
        "class Louder:\n"
        "    def __init__(self, app):\n"
        "        self.app = app\n"
        "    async def __call__(self, scope, receive, send):\n"
        "        async def loud(message):\n"
        "            if message['type'] == 'http.response.body':\n"
        "                message = {**message, 'body': message['body'].replace(b'data:', b'DATA:')}\n"
        "            await send(message)\n"
        "        await self.app(scope, receive, loud)\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with service(tmp_path, str(gguf), "--middleware", "louder.Louder", PYTHONPATH=paths) as running:
        body = {"prompt": "hi", "max_tokens": 8, "ignore_eos": True, "stream": True}
        request = urllib.request.Request(
            running.url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            lines = [line for line in response.read().splitlines() if line]
        assert len(lines) > 2
        assert all(line.startswith(b"DATA:") for line in lines)


def test_several_models_by_their_names(tmp_path: Path, gguf: Path, folder: Path) -> None:
    with service(
        tmp_path,
        "--model",
        f"first={gguf}",
        "--model",
        f"second={folder}",
        "--served-model-name",
        "main",
        "--keep-alive",
        "-1",
    ) as running:
        assert running.value("Also").startswith("second ")
        with urllib.request.urlopen(running.url + "/v1/models", timeout=60) as response:
            assert [card["id"] for card in json.load(response)["data"]] == ["main", "first", "second"]
        assert running.ask()["model"] == running.ask(model="first")["model"] == "main"
        assert running.ask(model="second")["model"] == "second"


def test_dummy_weights_serve_without_a_file_of_weights(tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "dummy", "qwen3")
    for file in model.glob("*.safetensors*"):
        file.unlink()
    with service(tmp_path, str(model), "--load-format", "dummy", "-q", "int8") as running:
        assert "int8" in running.value("Model")
        assert running.ask()["object"] == "chat.completion"
