"""The benchmarks' own arithmetic and their workers, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.client import Timing, Worker, WorkerError, pagoda_worker
from benchmarks.cost import CostModel
from benchmarks.limits import Limits
from benchmarks.peers import Runs, time_in_turn
from benchmarks.report import Report, table, verdict
from benchmarks.throughput import summarise
from benchmarks.workloads import Workload
from tests.helpers.models import TinySizes, tiny_gguf

from benchmarks import limits, serving
from pagoda import _kernels


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf", quantization="Q8_0")


def test_costs_are_those_of_a_count_by_hand(model: Path) -> None:
    sizes, costs = TinySizes(), CostModel(model)
    heads = sizes.num_attention_heads * sizes.head_dim
    kv_heads = sizes.num_key_value_heads * sizes.head_dim
    layer = sizes.hidden_size * (2 * heads + 2 * kv_heads + 3 * sizes.intermediate_size)
    layers = sizes.num_hidden_layers * layer
    logits = sizes.vocab_size * sizes.hidden_size
    work = Workload(requests=3, prompt_tokens=10, new_tokens=5)

    decode = costs.decode(work)
    # Four steps read every matrix once: 34 bytes for each 32 values.
    assert decode.weight_bytes == 4 * (layers + logits) * 34 / 32
    # They see 11, 12, 13 and 14 tokens of each request: keys and values of two bytes.
    contexts = 3 * (11 + 12 + 13 + 14)
    assert decode.cache_bytes == contexts * sizes.num_hidden_layers * 2 * kv_heads * 2
    attention = 4 * heads * sizes.num_hidden_layers
    assert decode.operations == 3 * 4 * 2 * (layers + logits) + contexts * attention

    prefill = costs.prefill(work)
    assert prefill.operations == 3 * (10 * 2 * layers + 2 * logits + attention * sum(range(1, 11)))


def test_prompts_are_the_same_every_time_and_differ_from_each_other() -> None:
    work = Workload(4, 50, 1)
    prompts = work.prompts(1000)
    assert prompts == work.prompts(1000)
    assert [len(prompt) for prompt in prompts] == [50] * 4
    assert len({tuple(prompt) for prompt in prompts}) == 4
    assert all(10 <= token < 1000 for prompt in prompts for token in prompt)


def test_a_summary_divides_medians(model: Path) -> None:
    costs, work = CostModel(model), Workload(2, 8, 5)
    timings = [Timing(seconds, 1.0, 10) for seconds in (3.0, 5.0, 2.0)]
    found = summarise(work, timings, costs, Limits(read_gb_s=1, int8_gop_s=2, bf16_gflop_s=1, f32_gflop_s=1))
    assert (found.seconds, found.tokens_per_second) == (3.0, 10 / 3)
    prompts, answers = found.phases
    assert (prompts.tokens, prompts.seconds) == (16, 1.0)
    assert (answers.tokens, answers.seconds) == (8, 2.0)
    assert answers.gb_s == pytest.approx(costs.decode(work).bytes / 2e9)
    assert answers.read_share == pytest.approx(answers.gb_s)
    assert answers.int8_share == pytest.approx(answers.gop_s / 2)


def test_a_worker_runs_workloads(model: Path) -> None:
    work = Workload(3, 16, 4)
    with pagoda_worker(model, threads=1) as worker:
        runs = time_in_turn(work, worker, worker, worker.ready["vocab_size"], repeats=2)
    assert worker.ready["threads"] == 1
    assert len(runs.ours) == len(runs.theirs) == 2
    for timing in runs.ours:
        assert timing.tokens == 12
        assert 0 < timing.first_token_seconds < timing.seconds


def test_a_worker_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"worker\.py ended: .*nothing\.gguf"):
        pagoda_worker(tmp_path / "nothing.gguf", None)
    with pytest.raises(WorkerError, match="/nowhere/python: No such file"):
        Worker(["/nowhere/python", "worker.py"])
    with pytest.raises(WorkerError, match="no message"):
        Worker(["true", "silent"])


def test_times_as_fast_is_the_median_of_neighbours() -> None:
    ours = [Timing(seconds, 0.1, 1) for seconds in (1.0, 2.0, 4.0)]
    theirs = [Timing(seconds, 0.1, 1) for seconds in (5.0, 4.0, 16.0)]
    assert Runs(Workload(1, 1, 1), ours, theirs).times_as_fast() == 4.0


def test_a_report_is_text_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    text = table(["name", "n"], [["a", "1"], ["long", "23"]])
    assert text.splitlines() == ["name   n", "----  --", "a      1", "long  23"]
    report.add("numbers", "Numbers", text, {"timing": Timing(1.0, 0.5, 3)})
    written, data = report.save(tmp_path / "out")
    assert "Numbers\n=======\nname   n" in written.read_text()
    assert "long  23" in capsys.readouterr().out
    timing = {"seconds": 1.0, "first_token_seconds": 0.5, "tokens": 3}
    assert json.loads(data.read_text()) == {"numbers": {"timing": timing}}
    assert (verdict(2, 2, at_most=True), verdict(2, 2.1, at_most=False)) == ("yes", "NO")


@pytest.mark.parametrize("kind", ["completions", "chat with parsers"])
def test_a_served_load_is_counted(kind: str) -> None:
    load = serving.measure(kind, streams=8, tokens_per_second=8000, seconds=1.5, warm_seconds=0.5)
    assert min(load.tokens, load.chunks, load.answers) > 0
    assert min(load.server_seconds, load.engine_seconds, load.client_seconds) > 0
    assert load.microseconds_a_token == pytest.approx(1e6 * load.server_seconds / load.tokens)
    assert load.first_ms[0] <= load.first_ms[1] <= load.first_ms[2]
    assert load.kind in serving.describe(load)


def test_limits_are_measured() -> None:
    found = limits.measure(0.02, 1)
    assert min(found.read_gb_s, found.int8_gop_s, found.bf16_gflop_s, found.f32_gflop_s) > 0
    assert limits.better(Limits(1, 5, 3, 4), Limits(2, 1, 3, 9)) == Limits(2, 5, 3, 9)


@pytest.mark.parametrize(("seconds", "threads"), [(0.0, 1), (float("nan"), 1), (0.1, 0), (0.1, 5000)])
def test_limits_refuse_what_cannot_be_measured(seconds: float, threads: int) -> None:
    with pytest.raises(ValueError, match="measure_limits"):
        _kernels.measure_limits(seconds, threads)
