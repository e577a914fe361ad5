"""guidellm: one short run, as its guide starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conftest import Endpoint


def test_a_run_measures_every_request(scripted: Endpoint, tmp_path: Path) -> None:
    report = tmp_path / "benchmarks.json"
    command = [str(Path(sys.executable).with_name("guidellm")), "run", "--disable-console"]
    command += ["--backend", f"kind=openai_http,target={scripted.url},model={scripted.model}"]
    command += ["--profile", "kind=concurrent,streams=2", "--constraint", "kind=max_requests,count=4"]
    command += ["--data", "kind=synthetic_text,prompt_tokens=32,output_tokens=8"]
    command += ["--tokenizer", f"kind=huggingface_auto,model={scripted.folder}"]
    command += ["--output", f"kind=json,path={report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [benchmark] = json.loads(report.read_text("utf-8"))["benchmarks"]
    assert benchmark["metrics"]["request_totals"]["successful"] == 4
    assert benchmark["metrics"]["request_totals"]["errored"] == 0
    assert benchmark["metrics"]["time_to_first_token_ms"]["successful"]["mean"] > 0
