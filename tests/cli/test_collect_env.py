from __future__ import annotations

from pathlib import Path

from tests.cli.command import pagoda

from pagoda.cli.collect_env import packages, variables


def test_one_block_tells_of_the_machine_and_no_secret(tmp_path: Path) -> None:
    ended = pagoda(
        tmp_path, "collect-env", HF_TOKEN="hf_secret", VLLM_API_KEY="k_secret", HF_ENDPOINT="http://m"
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("```text", "```")
    for word in (
        "System ",
        "Processor",
        "Kernels",
        "Memory",
        "Packages ",
        "HF_TOKEN=(set)",
        "HF_ENDPOINT=http://m",
    ):
        assert word in ended.stdout
    assert "secret" not in ended.stdout


def test_packages_have_versions() -> None:
    found = list(packages())
    assert any(entry.startswith("numpy ") and entry[6].isdigit() for entry in found), found
    assert not any("missing" in entry for entry in found), found


def test_only_variables_that_are_set() -> None:
    assert list(variables({"HF_HOME": "/h", "HOME": "/x", "HF_TOKEN": ""})) == ["HF_HOME=/h", "HF_TOKEN="]
