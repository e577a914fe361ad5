from __future__ import annotations

import json
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.command import one_line, pagoda

from pagoda.cli.batch.lines import LineError, answer_line, error_line, read_request
from pagoda.cli.batch.output import AnswerFile
from pagoda.cli.batch.runner import BatchStats, run_requests
from pagoda.cli.batch.source import local_input, requests_in
from pagoda.cli.errors import UsageError


def request(custom_id: str, url: str = "/v1/completions", **body: Any) -> str:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body}) + "\n"


def answers(path: Path) -> dict[str | None, dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["custom_id"]: line for line in lines}


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("{", "invalid_json_line", "Line 7 is not valid JSON"),
        ("[]", "invalid_json_line", "not a JSON object"),
        ('{"custom_id": 3}', "missing_required_parameter", "no custom_id"),
        ('{"custom_id": "a", "method": "GET"}', "invalid_method", "'GET', not POST"),
        ('{"custom_id": "a", "url": "/v1/models"}', "invalid_url", "/v1/chat/completions"),
        ('{"custom_id": "a", "url": "/v1/score"}', "missing_required_parameter", "body"),
        (request("a", stream=True), "invalid_request", "stream"),
        ("[" * 100_000, "invalid_json_line", "Line 7"),
    ],
)
def test_a_line_that_cannot_be_sent(line: str, code: str, words: str) -> None:
    with pytest.raises(LineError, match=words) as caught:
        read_request(7, line)
    assert caught.value.code == code
    written = json.loads(error_line(caught.value))
    assert written["response"] is None
    assert written["error"] == {"code": code, "message": str(caught.value)}


def test_a_file_of_answers_is_repaired_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    good = [answer_line(name, status, "r", {}) for name, status in (("a", 200), ("b", 400))]
    bad = [
        answer_line("c", 500, "r", {"error": {"message": "died", "type": "InternalServerError"}}),
        error_line(LineError("invalid_url", "x", "d")),
        error_line(LineError("invalid_json_line", "x")),
        "garbage\n",
        good[0],
        answer_line("e", 200, "r", {})[:-20],
    ]
    path.write_text("".join([good[0], *bad[:3], good[1], *bad[3:]]))
    with AnswerFile(path) as output:
        assert output.answered == {"a", "b"}
        output.add("new\n")
    assert path.read_text() == good[0] + good[1] + "new\n"
    assert list(tmp_path.iterdir()) == [path], "nothing else is left behind"


def test_a_whole_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(answer_line("a", 200, "r", {}))
    before = path.stat().st_ino
    with AnswerFile(path) as output:
        assert output.answered == {"a"}
    assert path.stat().st_ino == before


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "repaired"])
def test_a_file_of_answers_has_one_writer(tmp_path: Path, torn: bool) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("torn" if torn else "")
    with AnswerFile(path) as output:
        with pytest.raises(UsageError, match="is being written by another batch"):
            AnswerFile(path)
        output.add('{"custom_id": "a", "response": {"status_code": 200}}\n')
    with AnswerFile(path) as output:
        assert output.answered == {"a"}


async def test_requests_run_many_at_a_time_and_stop_when_the_model_is_gone(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(request(str(number), n=number) for number in range(20)))
    seen: Counter[int] = Counter()

    def respond(sent: httpx.Request) -> httpx.Response:
        number = json.loads(sent.content)["n"]
        seen[number] += 1
        gone = seen.total() > 8
        return httpx.Response(
            503 if gone else 200, json={"error": {"message": "gone"}} if gone else {"id": "x"}
        )

    def told(stats: BatchStats) -> None:
        progress.append(stats.already + stats.answered)

    progress: list[int] = []
    transport = httpx.MockTransport(respond)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        with AnswerFile(target) as output, pytest.raises(UsageError, match=r"gone.*run the batch again"):
            await run_requests(client, source, output, concurrency=4, on_progress=told)
        assert len(answers(target)) == 8
        seen = Counter({-1: -1000})
        with AnswerFile(target) as output:
            stats = await run_requests(client, source, output, concurrency=4, on_progress=told)
    assert (stats.already, stats.answered, stats.failed, stats.total) == (8, 12, 0, 20)
    assert set(answers(target)) == {str(number) for number in range(20)}
    assert all(count == 1 for number, count in seen.items() if number >= 0)
    assert progress[-1] == 20


def test_a_batch_is_answered_and_goes_on_where_it_was(tmp_path: Path, gguf: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out" / "out.jsonl"
    chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    source.write_text(
        request("chat", "/v1/chat/completions", **chat)
        + request("text", prompt="hi", max_tokens=2)
        + "\n"
        + request("refused", prompt="hi", max_tokens=-2)
        + request("elsewhere", prompt="hi", model="other")
        + request("half \ud800", prompt="a \ud800 b", model="\udc00")
        + request("odd", "/v1/nothing")
        + request("answer", "/v1/responses", input="hi", max_output_tokens=2)
    )
    command = ["run-batch", "-i", str(source), "-o", str(target), "--model", str(gguf), "--enforce-eager"]
    ended = pagoda(tmp_path, *command)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert "7 requests answered, 4 with an error" in ended.stderr
    assert "--enforce-eager has no effect" in ended.stderr
    first = answers(target)
    assert first["chat"]["response"]["status_code"] == 200
    assert first["chat"]["error"] is None
    assert first["chat"]["response"]["body"]["usage"]["completion_tokens"] <= 3
    assert first["chat"]["response"]["request_id"].startswith("chatcmpl-")
    assert first["text"]["response"]["body"]["object"] == "text_completion"
    assert first["answer"]["response"]["body"]["object"] == "response"
    assert first["refused"]["response"]["status_code"] == 400
    assert "max_tokens" in first["refused"]["error"]["message"]
    assert first["elsewhere"]["response"]["status_code"] == 404
    assert first["odd"]["response"] is None
    assert first["half \ud800"]["response"]["status_code"] in (400, 404)
    lines = [
        line for line in target.read_text().splitlines(keepends=True) if '"custom_id": "text"' not in line
    ]
    target.write_text("".join(lines) + '{"id": "torn')
    source.write_text(source.read_text() + request("late", prompt="ho", max_tokens=1))
    ended = pagoda(tmp_path, *command)
    assert "3 requests answered (5 were answered before), 1 with an error" in ended.stderr, ended.stderr
    second = answers(target)
    assert set(second) == {*first, "late"}
    for custom_id in ("chat", "refused", "elsewhere", "answer"):
        assert second[custom_id] == first[custom_id], "not run again"


def test_requests_may_be_fetched_first(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("one\n\ntwo\n")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with local_input(f"http://127.0.0.1:{server.server_port}/in.jsonl") as path:
                assert list(requests_in(path)) == [(1, "one\n"), (3, "two\n")]
            assert not path.exists()
        finally:
            server.shutdown()
            thread.join()


def test_embeddings_and_scores(tmp_path: Path, gguf: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(
        request("e", "/v1/embeddings", input=["a", "b"])
        + request("s", "/v1/score", text_1="a", text_2=["b", "c"])
        + request("r", "/v1/rerank", query="a", documents=["b", "c"])
    )
    command = [
        "run-batch",
        "-i",
        str(source),
        "-o",
        str(target),
        "--model",
        f"m={gguf}",
        "--runner",
        "pooling",
    ]
    ended = pagoda(tmp_path, *command)
    assert ended.returncode == 0, ended.stderr
    found = {name: line["response"]["body"] for name, line in answers(target).items()}
    assert [len(found["e"]["data"]), len(found["s"]["data"]), len(found["r"]["results"])] == [2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "-i FILE"),
        (["-i", "nothing.jsonl", "-o", "OUT"], 1, "no file nothing.jsonl"),
        (["-i", "http://127.0.0.1:1/x", "-o", "OUT"], 1, "cannot be fetched"),
        (["-i", "IN", "-o", "http://x"], 2, "on this disk"),
        (["-i", "IN", "-o", "IN"], 2, "the same file"),
        (["-i", "IN", "-o", "/proc/nothing/o"], 1, "cannot be written"),
        (["-i", "IN", "-o", "OUT", "--prot", "1"], 2, "--port"),
    ],
)
def test_wrong_usage_gives_one_line(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("")
    places = {"IN": str(source), "OUT": str(tmp_path / "out.jsonl")}
    arguments = [places.get(argument, argument) for argument in arguments]
    ended = pagoda(tmp_path, "run-batch", "--model", "m", *arguments)
    assert words in one_line(ended, code)
