"""`python -m tests.clients [NAME ...]`: installs each client, starts the servers, runs the suites.

Environments are kept under build/clients and made anew when their requirements change. What a suite gets
is in suites/conftest.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path

from tests.clients.scripts import reasoning_replies, tool_replies
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import start_server

from pagoda.hub import DEFAULT_MODEL, SilentProgress, resolve

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "clients"
EMBEDDING_MODEL = "all-minilm:l6-v2"
NODE_SUITE = "openai_node"


def main(names: list[str]) -> int:
    """Runs the suites of these names, all by default; returns the worst exit code."""
    known = sorted(path.name.removesuffix("_suite") for path in (HERE / "suites").glob("*_suite"))
    if unknown := set(names) - set(known):
        print(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    wanted = names or known
    pythons = {name: environment(name) for name in wanted if name != NODE_SUITE}
    if NODE_SUITE in wanted:
        npm("ci", "--no-audit", "--no-fund")
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="pagoda-clients-") as temporary:
        addresses = start_servers(stack, Path(temporary))
        codes = {name: run_suite(name, pythons.get(name), addresses, Path(temporary)) for name in wanted}
    print("\n".join(f"{name}: {'passed' if code == 0 else 'FAILED'}" for name, code in codes.items()))
    return max(codes.values())


def environment(name: str) -> Path:
    """The Python of a suite's environment, made when it is missing or its requirements have changed."""
    requirements = HERE / "requirements" / f"{name}.txt"
    folder = BUILD / name
    stamp = folder / "requirements.txt"
    python = folder / "bin" / "python"
    if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return python
    print(f"installing {name} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    # Everything is pinned, so pip has nothing to resolve (which takes it very long for some of them).
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*map(str, install), "-r", str(requirements)], check=True)
    shutil.copyfile(requirements, stamp)
    return python


def start_servers(stack: ExitStack, folder: Path) -> dict[str, dict[str, str]]:
    """A chat model, an embedding model and two scripted ones, each behind `pagoda serve`."""
    found = {}
    for name, model in (("chat", DEFAULT_MODEL), ("embedding", EMBEDDING_MODEL)):
        path = resolve(model, progress=SilentProgress()).path
        home = folder / name
        home.mkdir()
        # lm-eval's tokenizer_backend=remote asks the server about its tokenizer.
        server = start_server(path, home, "--enable-tokenizer-info-endpoint", name=name, workspace=True)
        stack.callback(server.stop)
        found[name] = {"url": server.base_url, "model": server.model, "folder": str(path)}
    for name, replies, flags in (
        ("scripted", tool_replies(), ()),
        ("thinking", reasoning_replies(), ("--reasoning-parser", "qwen3")),
    ):
        model_folder = scripted_model(folder / f"{name}-model", replies)
        server = stack.enter_context(scripted_server(model_folder, folder / name, *flags, workspace=True))
        found[name] = {"url": server.base_url, "model": server.model, "folder": str(model_folder)}
    return found


def run_suite(name: str, python: Path | None, servers: dict[str, dict[str, str]], temporary: Path) -> int:
    """Runs one suite with its own Python (or npm), away from the package and from the user's settings."""
    print(f"== {name}", flush=True)
    home = temporary / f"{name}-home"
    home.mkdir()
    settings = {"PAGODA_SERVERS": json.dumps(servers), "HF_HUB_OFFLINE": "1"}
    if python is None:
        return npm("test", **settings)
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
    suites = HERE / "suites"
    command = [
        str(python),
        "-m",
        "pytest",
        "-q",
        "-ra",
        "-p",
        "no:cacheprovider",
        str(suites / f"{name}_suite"),
    ]
    command += ["--rootdir", str(suites), "-c", str(suites / "pytest.ini")]
    # The suites' folder makes their conftest importable; nothing of the package is on the path.
    environment = {**kept, **settings, "HOME": str(home), "PYTHONPATH": str(suites)}
    return subprocess.run(command, env=environment, cwd=home, check=False).returncode


def npm(*arguments: str, **settings: str) -> int:
    """npm in the folder of the Node suite, by the tool that finds or fetches Node."""
    tool = HERE.parents[1] / "packaging" / "web_build.py"
    command = [
        sys.executable,
        str(tool),
        "npm",
        "--prefix",
        str(HERE / "suites" / f"{NODE_SUITE}_suite"),
        *arguments,
    ]
    return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
