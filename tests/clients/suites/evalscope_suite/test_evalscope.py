"""EvalScope: an evaluation over the API with a data set of one's own, and its load generator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from evalscope import TaskConfig, run_task

from conftest import Endpoint


def test_an_evaluation_of_ones_own_questions(scripted: Endpoint, tmp_path: Path) -> None:
    data = tmp_path / "qa"
    data.mkdir()
    row = {"system": "Answer.", "query": "22 degrees", "response": "It is sunny in Paris, 22 degrees."}
    (data / "example.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    config = TaskConfig(
        model=scripted.model,
        api_url=scripted.v1,
        api_key="EMPTY",
        eval_type="openai_api",
        datasets=["general_qa"],
        dataset_args={"general_qa": {"local_path": str(data), "subset_list": ["example"]}},
        generation_config={"max_tokens": 64, "temperature": 0.0},
        work_dir=str(tmp_path / "out"),
        limit=1,
    )
    report = run_task(config)["general_qa"]
    assert report.score > 0.99


def test_its_load_generator(scripted: Endpoint, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("22 degrees\n" * 4, "utf-8")
    command = [str(Path(sys.executable).with_name("evalscope")), "perf", "--api", "openai"]
    command += ["--url", f"{scripted.v1}/chat/completions", "--model", scripted.model]
    command += ["--dataset", "line_by_line", "--dataset-path", str(prompts), "--number", "4"]
    command += ["--parallel", "2", "--max-tokens", "16", "--outputs-dir", str(tmp_path / "out")]
    command += ["--tokenizer-path", scripted.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [summary] = (tmp_path / "out").rglob("benchmark_summary.json")
    figures = json.loads(summary.read_text("utf-8"))
    assert figures["Success Requests"] == 4
