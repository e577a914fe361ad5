"""The models of the machine, managed over HTTP: a real server, a hub of our own and tiny models."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.helpers.models import TinySizes, tiny_folder, tiny_gguf
from tests.helpers.servers import Server, start_server
from tests.hub.fake_hub import FakeHub, fake_hub
from tests.workspace.conftest import ADMIN

CHAT = "tiny/chat"  #: a folder of safetensors
GGUF = "tiny/gguf"
LARGE = "tiny/large"  #: so large that its download can be gone on with
LARGE_FILE = "large-Q8_0.gguf"
LARGE_SIZES = TinySizes(hidden_size=512, intermediate_size=2048)
HALF = 3_000_000


class Administrator:
    """An administrator's client of a server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.base_url, timeout=60)
        setup = self.http.get("/api/config").json()["setup_required"]
        path = "/api/setup" if setup else "/api/auth/login"
        body = ADMIN if setup else {name: ADMIN[name] for name in ("email", "password")}
        self.http.post(path, json=body).raise_for_status()

    def overview(self) -> dict[str, Any]:
        return dict(self.http.get("/api/admin/hub").raise_for_status().json())

    def model(self, model_id: str) -> dict[str, Any] | None:
        return next((model for model in self.overview()["models"] if model["id"] == model_id), None)

    def state(self, model_id: str) -> str | None:
        model = self.model(model_id)
        return None if model is None else str(model["state"])

    def post(self, what: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/api/admin/hub/{what}", json=body)

    def remove(self, model_id: str, **query: Any) -> httpx.Response:
        return self.http.delete(f"/api/admin/hub/{model_id}", params=query)

    def follow(self, pull_id: str) -> Iterator[dict[str, Any]]:
        """The states of a download until it ends."""
        with self.http.stream("GET", f"/api/admin/hub/pulls/{pull_id}/events") as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def pull(self, model: str, **body: Any) -> dict[str, Any]:
        """Pulls and waits; gives the last state."""
        started = self.post("pulls", model=model, **body)
        assert started.status_code == 200, started.text
        return list(self.follow(started.json()["id"]))[-1]

    def wait(self, model_id: str, state: str) -> dict[str, Any]:
        """Asks until a model has come to a state, as the page does."""
        for _ in range(600):
            model = self.model(model_id)
            if model is not None and (model["state"] == state or model["error"]):
                assert model["state"] == state, model["error"]
                return model
            threading.Event().wait(0.05)
        raise AssertionError(f"{model_id} is {self.state(model_id)}, not {state}")

    def served(self) -> dict[str, str]:
        """/v1/models: names with their status."""
        return {card["id"]: card["status"] for card in self.http.get("/v1/models").json()["data"]}

    def chat(self, model: str) -> dict[str, Any]:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
        return dict(self.http.post("/v1/chat/completions", json=body).raise_for_status().json())


@pytest.fixture(scope="module")
def models_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    folder = tmp_path_factory.mktemp("models")
    chat = tiny_folder(folder / "chat", seed=1)
    repos = {
        CHAT: {path.name: path.read_bytes() for path in chat.iterdir()},
        GGUF: {"tiny-Q8_0.gguf": tiny_gguf(folder / "tiny.gguf", seed=2).read_bytes()},
        LARGE: {LARGE_FILE: tiny_gguf(folder / "large.gguf", sizes=LARGE_SIZES).read_bytes()},
        "tiny/broken": {"broken-Q8_0.gguf": b"GGUF and nothing more"},
    }
    with fake_hub(FakeHub(repos, lfs=True, gated=("tiny/gated",))) as hub:
        yield hub


@contextmanager
def served(folder: Path, hub: FakeHub, *arguments: str, name: str = "first") -> Iterator[Administrator]:
    """A server whose disk is in a folder; a second one of the same folder finds what the first has left."""
    folder.mkdir(exist_ok=True)
    model = folder / "own.gguf"
    if not model.exists():
        tiny_gguf(model)
    with pytest.MonkeyPatch.context() as patch:
        for variable in (
            "HF_TOKEN",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "DATABASE_URL",
        ):
            patch.delenv(variable, raising=False)
        for variable, value in {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "NO_PROXY": "*",
        }.items():
            patch.setenv(variable, value)
        server = start_server(model, folder, *arguments, name=name, workspace=True)
    try:
        administrator = Administrator(server)
        yield administrator
        administrator.http.close()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory, models_hub: FakeHub) -> Iterator[Administrator]:
    with served(tmp_path_factory.mktemp("house"), models_hub) as administrator:
        yield administrator


def test_a_model_is_pulled_served_used_unloaded_and_removed(admin: Administrator) -> None:
    started = admin.post("pulls", model=CHAT)
    states = list(admin.follow(started.json()["id"]))
    last = states[-1]
    assert (last["state"], last["error"], last["name"]) == ("done", None, CHAT)
    assert last["bytes_total"] > 100_000
    assert any(state["file"] for state in states)
    assert admin.http.get("/api/admin/hub/pulls").json()["pulls"][0]["id"] == last["id"]

    model = admin.model(CHAT)
    assert model is not None
    assert (model["state"], model["source"], model["offered"], model["kept"]) == (
        "unloaded",
        "hub",
        True,
        None,
    )
    assert model["format"] == "safetensors"
    assert model["size"] == sum(path.stat().st_size for path in Path(model["path"]).iterdir())
    assert model["parameters"] > 50_000
    assert model["needs"] > model["size"]
    assert model["fit"]["verdict"] == "yes"
    assert admin.served()[CHAT] == "unloaded"
    assert CHAT in [entry["id"] for entry in admin.http.get("/api/models").json()["models"]]

    assert admin.post("load", model=CHAT).json() == {"id": CHAT}
    loaded = admin.wait(CHAT, "loaded")
    assert loaded["held"] > 0
    assert loaded["fit"]["code"] == "loaded"
    assert admin.chat(CHAT)["model"] == CHAT

    refused = admin.remove(CHAT)
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "loaded")
    assert admin.post("unload", model=CHAT).status_code == 200
    admin.wait(CHAT, "unloaded")
    assert admin.remove(CHAT).status_code == 200
    assert admin.model(CHAT) is None
    assert CHAT not in admin.served()
    assert not Path(model["path"]).parents[1].exists()
    actions = [event["action"] for event in admin.http.get("/api/admin/audit").json()["events"]]
    assert actions[:4] == ["model.remove", "model.unload", "model.load", "model.pull"]


def test_a_model_in_memory_is_removed_when_that_is_said(admin: Administrator) -> None:
    name = f"{GGUF}:Q8_0"
    assert admin.pull(name)["state"] == "done"
    admin.post("load", model=name).raise_for_status()
    admin.wait(name, "loaded")
    assert admin.remove(name, unload=True).status_code == 200
    assert name not in admin.served()


def test_a_cancelled_download_is_gone_on_with(admin: Administrator, models_hub: FakeHub) -> None:
    name = f"{LARGE}/{LARGE_FILE}"
    release = threading.Event()
    models_hub.holds[LARGE_FILE] = (HALF, release)
    try:
        pull = admin.post("pulls", model=f"{models_hub.url}/{LARGE}/blob/main/{LARGE_FILE}?download=1").json()
        assert pull["model"] == name
        again = admin.post("pulls", model=name)
        assert (again.status_code, again.json()["error"]["message"]) == (
            409,
            f"{name} is being pulled already.",
        )
        for state in admin.follow(pull["id"]):
            if state["bytes_done"] >= HALF:
                assert state["bytes_total"] > 2 * HALF
                break
        busy = admin.remove(name)
        assert busy.status_code == 409
        cancelled = admin.http.delete(f"/api/admin/hub/pulls/{pull['id']}")
        assert cancelled.json()["state"] == "cancelled"
    finally:
        release.set()
        models_hub.holds.clear()
    assert admin.model(name) is None
    models_hub.ranges.clear()
    assert admin.pull(name)["state"] == "done"
    [asked] = models_hub.ranges
    assert int(asked.removeprefix("bytes=").rstrip("-")) >= HALF
    assert admin.state(name) == "unloaded"
    assert admin.post("withdraw", model=name).status_code == 200
    assert admin.state(name) == "disk"
    assert name not in admin.served()
    admin.remove(name).raise_for_status()


@pytest.mark.parametrize(
    ("model", "words", "code"),
    [
        ("nobody/nothing", "has no model nobody/nothing", "hub_unknown"),
        ("tiny/gated", "accept its terms", "hub_gated"),
        (GGUF, "name one, such as tiny/gguf:Q8_0", "hub_which_file"),
        (f"{CHAT}:Q4_0", "no GGUF files", "hub_no_file"),
    ],
)
def test_what_the_hub_does_not_have(admin: Administrator, model: str, words: str, code: str) -> None:
    failed = admin.pull(model)
    assert failed["state"] == "failed"
    assert words in failed["error"]
    assert "\n" not in failed["error"]
    assert (failed["code"], failed["values"]["model"]) == (code, model.partition(":")[0])


def test_a_model_that_cannot_be_served_says_so(admin: Administrator) -> None:
    ended = admin.pull("tiny/broken:Q8_0")
    assert ended["state"] == "done"
    assert "cannot be served" in ended["error"]
    model = admin.model("tiny/broken/broken-Q8_0.gguf")
    assert model is not None
    assert (model["state"], model["fit"]["verdict"], model["kept"]) == ("disk", "no", None)
    assert admin.post("load", model=model["id"]).status_code == 409
    assert admin.state("first") == "loaded"
    admin.remove(model["id"]).raise_for_status()


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../models", "~/x", "no such model", "<script>", "a/b/c", " "]
)
def test_names_that_are_none(admin: Administrator, name: str) -> None:
    refused = admin.post("pulls", model=name)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]
    assert admin.post("load", model=name).status_code in (400, 404)
    assert admin.post("unload", model=name).status_code in (400, 404)


def test_what_is_wrong_with_a_revision(admin: Administrator) -> None:
    assert admin.post("pulls", model=CHAT, revision="../../x").status_code == 400
    catalog = admin.post("pulls", model="smollm2", revision="v1")
    assert "one revision" in catalog.json()["error"]["message"]
    assert admin.post("pulls", model=CHAT, wrong=1).status_code == 400


def test_the_first_model_and_files_of_the_users_own_stay(admin: Administrator) -> None:
    first = admin.model("first")
    assert first is not None
    assert (first["default"], first["source"], first["kept"], first["state"]) == (
        True,
        "given",
        "default",
        "loaded",
    )
    refused = admin.remove("first", unload=True)
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict")
    assert Path(first["path"]).exists()
    assert admin.post("withdraw", model="first").status_code == 409
    for path in (first["path"], "../own.gguf", "nothing"):
        assert admin.remove(path).status_code in (404, 405)
    assert Path(first["path"]).exists()


def test_the_catalog_and_the_memory_are_told(admin: Administrator) -> None:
    found = admin.overview()
    entry = next(entry for entry in found["catalog"] if entry["name"] == "smollm2:135m")
    assert (entry["present"], entry["fit"]["verdict"]) == (False, "yes")
    memory = found["memory"]
    assert 0 < memory["available"] < memory["total"]
    assert memory["used_by_models"] > 0
    assert memory["disk_free"] > 0


def test_what_was_pulled_is_served_after_a_restart(tmp_path: Path, models_hub: FakeHub) -> None:
    house = tmp_path / "house"
    with served(house, models_hub) as admin:
        assert admin.pull(f"{GGUF}:Q8_0")["state"] == "done"
        assert admin.pull(CHAT, revision="v1")["state"] == "done"
    with served(house, models_hub) as admin:
        assert admin.served() == {"first": "loaded", f"{GGUF}:Q8_0": "unloaded", CHAT: "unloaded"}
        assert admin.chat(CHAT)["model"] == CHAT
        model = admin.model(CHAT)
        assert model is not None
        for path in Path(model["path"]).iterdir():
            path.unlink()
    with served(house, models_hub) as admin:
        lost = admin.wait(CHAT, "missing") if admin.state(CHAT) != "missing" else admin.model(CHAT)
        assert lost is not None
        assert "not whole on this disk" in lost["error"]
        assert (lost["code"], lost["values"]) == ("hub_not_whole", {"model": lost["id"].partition(":")[0]})
        assert admin.post("withdraw", model=CHAT).status_code == 200
        assert admin.state(CHAT) is None
        assert admin.state(f"{GGUF}:Q8_0") == "unloaded"


def test_a_restored_backup_brings_its_own_list(admin: Administrator) -> None:
    assert admin.pull(f"{GGUF}:Q8_0")["state"] == "done"
    archive = admin.http.post("/api/admin/backup").content
    assert admin.pull(CHAT)["state"] == "done"
    admin.post("withdraw", model=f"{GGUF}:Q8_0").raise_for_status()
    assert admin.served() == {"first": "loaded", CHAT: "unloaded"}
    staged = admin.http.post("/api/admin/restore", content=archive).raise_for_status().json()
    body = {"password": ADMIN["password"]}
    admin.http.post(f"/api/admin/restore/{staged['id']}", json=body).raise_for_status()
    again = Administrator(admin.server)
    assert again.served() == {"first": "loaded", f"{GGUF}:Q8_0": "unloaded"}
    assert again.state(CHAT) == "disk"
    again.remove(CHAT).raise_for_status()
    again.remove(f"{GGUF}:Q8_0").raise_for_status()
    admin.http.cookies = again.http.cookies


def test_loading_asks_before_it_unloads_another_and_refuses_what_never_fits(
    tmp_path: Path, models_hub: FakeHub
) -> None:
    arguments = ("--max-loaded-models", "1", "--model-memory", "6m")
    with served(tmp_path / "house", models_hub, *arguments) as admin:
        assert admin.pull(CHAT)["state"] == "done"
        model = admin.model(CHAT)
        assert model is not None
        assert (model["fit"]["verdict"], model["fit"]["values"]) == ("tight", {"names": ["first"]})
        refused = admin.post("load", model=CHAT)
        assert (refused.status_code, refused.json()["error"]["type"]) == (409, "needs_room")
        assert admin.state("first") == "loaded"
        admin.post("load", model=CHAT, make_room=True).raise_for_status()
        admin.wait(CHAT, "loaded")
        assert admin.state("first") == "unloaded"

        large = f"{LARGE}:Q8_0"
        assert admin.pull(large)["state"] == "done"
        too_large = admin.model(large)
        assert too_large is not None
        assert too_large["fit"]["verdict"] == "no"
        refused = admin.post("load", model=large, make_room=True)
        assert refused.status_code == 409
        assert "weights need" in refused.json()["error"]["message"]
        assert admin.state(CHAT) == "loaded"


def test_a_dead_hub_and_an_offline_server(tmp_path: Path) -> None:
    gone = FakeHub({})
    with fake_hub(gone):
        pass
    with served(tmp_path / "house", gone) as admin:
        failed = admin.pull(CHAT)
        assert failed["state"] == "failed"
        assert "HF_ENDPOINT" in failed["error"]
    with served(tmp_path / "house", gone, "--offline") as admin:
        refused = admin.post("pulls", model=CHAT)
        assert (refused.status_code, "--offline" in refused.text) == (409, True)
        assert admin.overview()["offline"] is True


def test_a_server_that_ends_takes_its_downloads_along(tmp_path: Path, models_hub: FakeHub) -> None:
    release = threading.Event()
    models_hub.holds[LARGE_FILE] = (HALF, release)
    try:
        with served(tmp_path / "house", models_hub) as admin:
            pull = admin.post("pulls", model=f"{LARGE}:Q8_0").json()
            next(state for state in admin.follow(pull["id"]) if state["bytes_done"] >= HALF)
            children = Path(f"/proc/{admin.server.process.pid}/task/{admin.server.process.pid}/children")
            pids = [int(pid) for pid in children.read_text().split()]
            assert len(pids) == 2
            assert admin.server.stop() == 0
            assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    finally:
        release.set()
        models_hub.holds.clear()
