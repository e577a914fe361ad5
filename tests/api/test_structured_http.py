"""Constraints and other sampling fields over HTTP, with a random model that knows nothing of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jsonschema
import pytest
from tests.helpers.servers import Server

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "kind": {"enum": ["cat", "dog"]},
        "ages": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 2},
    },
    "required": ["name", "kind", "ages"],
    "additionalProperties": False,
}
COMPACT = {"disable_any_whitespace": True}


@pytest.fixture(scope="module")
def http(tiny_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny_server.base_url, timeout=60) as client:
        yield client


def chat(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 200, "temperature": 1, **fields}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()["choices"][0]
    return answer


def text(http: httpx.Client, **fields: Any) -> str:
    answer = chat(http, **fields)
    assert answer["finish_reason"] == "stop"
    content: str = answer["message"]["content"]
    return content


def test_answers_meet_their_schema_in_every_spelling(http: httpx.Client) -> None:
    spellings: list[dict[str, Any]] = [
        {"structured_outputs": {"json": SCHEMA, **COMPACT}},
        {"structured_outputs": {"json": json.dumps(SCHEMA), **COMPACT}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "pet", "schema": SCHEMA}}},
        {"guided_json": SCHEMA, "guided_whitespace_pattern": "[ ]?"},
    ]
    for number, spelling in enumerate(spellings * 3):
        answer = chat(http, seed=number, max_tokens=300, **spelling)
        if answer["finish_reason"] == "stop":
            jsonschema.validate(json.loads(answer["message"]["content"]), SCHEMA)
        else:
            assert answer["message"]["content"].lstrip().startswith("{")


def test_other_kinds(http: httpx.Client) -> None:
    assert text(http, structured_outputs={"choice": ["yes", "no"]}) in ("yes", "no")
    assert re.fullmatch(r"[0-9]{3}-[a-f]{2}", text(http, structured_outputs={"regex": r"[0-9]{3}-[a-f]{2}"}))
    ebnf = 'root ::= "SELECT " ("a" | "b") " FROM t"'
    assert text(http, guided_grammar=ebnf) in ("SELECT a FROM t", "SELECT b FROM t")
    assert text(http, structured_outputs={"grammar": 'start: "x" "y"'}) == "xy"
    tag = {"type": "const_string", "value": "<a>b</a>"}
    assert text(http, response_format={"type": "structural_tag", "format": tag}) == "<a>b</a>"


def test_a_stream_and_text_completions(http: httpx.Client) -> None:
    body = {"prompt": "hi", "max_tokens": 50, "structured_outputs": {"choice": ["one two", "three"]}, "n": 3}
    choices = http.post("/v1/completions", json=body).json()["choices"]
    assert {choice["text"] for choice in choices} <= {"one two", "three"}
    with http.stream("POST", "/v1/completions", json={**body, "stream": True, "n": 1}) as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    news = [json.loads(line)["choices"][0] for line in lines[:-1]]
    assert "".join(choice["text"] for choice in news) in ("one two", "three")
    assert news[-1]["finish_reason"] == "stop"


def test_a_constrained_answer_keeps_the_models_own_logprobs(http: httpx.Client) -> None:
    answer = chat(http, structured_outputs={"choice": ["yes"]}, logprobs=True, top_logprobs=1, temperature=0)
    assert answer["message"]["content"] == "yes"
    entries = answer["logprobs"]["content"]
    assert any(entry["top_logprobs"][0]["logprob"] > entry["logprob"] for entry in entries)
    assert all(entry["logprob"] < 0 for entry in entries)


def test_others_are_not_touched_by_constraints(http: httpx.Client) -> None:
    free = {"prompt": "abc", "max_tokens": 60, "temperature": 1, "seed": 5, "ignore_eos": True}

    def generate(fields: dict[str, Any]) -> str:
        said: str = http.post("/v1/completions", json={**free, **fields}).json()["choices"][0]["text"]
        return said

    alone = generate({})
    bound = {"structured_outputs": {"json": SCHEMA}}
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(generate, [{}, bound, {}, bound, {}, {"logit_bias": {"70": 5}}]))
    assert [said[0], said[2], said[4]] == [alone] * 3
    assert said[1] == said[3]


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"structured_outputs": {"regex": "["}}, "structured_outputs", "cannot be compiled"),
        ({"structured_outputs": {"regex": "(a{1,1000}){1,1000}"}}, "structured_outputs", "too complex"),
        (
            {"structured_outputs": {"grammar": 'start: "a" <|nothing|>'}},
            "structured_outputs",
            "special token",
        ),
        ({"structured_outputs": {"json": {"not": {}}}}, "structured_outputs", "not supported: not"),
        ({"logit_bias": {"99999": 1}}, "logit_bias", "token ids 0 to"),
        ({"allowed_token_ids": [99999]}, "allowed_token_ids", "token ids 0 to"),
        ({"bad_words": [""]}, "bad_words", "not empty"),
        ({"truncate_prompt_tokens": 100_000}, "truncate_prompt_tokens", "smaller truncation size"),
    ],
)
def test_what_cannot_be_is_a_400_with_its_field(
    http: httpx.Client, fields: dict[str, Any], param: str, said: str
) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"] == param
    assert said in error["message"]


def test_biases_bans_and_repetition(http: httpx.Client) -> None:
    both = {"allowed_token_ids": [70, 71], "temperature": 0, "max_tokens": 12}
    plain = chat(http, **both, return_token_ids=True)["token_ids"]
    assert set(plain) <= {70, 71}
    wanted = 71 if plain[0] == 70 else 70
    biased = chat(http, **both, logit_bias={str(wanted): 100}, return_token_ids=True)["token_ids"]
    assert set(biased) == {wanted}
    stopped = chat(
        http,
        **both,
        logit_bias={str(wanted): 100},
        repetition_detection={"max_pattern_size": 2, "min_count": 3},
        return_token_ids=True,
    )
    assert (len(stopped["token_ids"]), stopped["finish_reason"]) == (3, "repetition")
