"""What a user can get wrong: every case is a documented 4xx with one sentence, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from tests.helpers.schemas import FAR, MINUTES
from tests.helpers.servers import Server

from pagoda.api.protocol.chat import ChatCompletionRequest, ChatFields
from pagoda.api.protocol.common import GenerationRequest
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.api.protocol.generate import GenerateRequest
from pagoda.api.protocol.tokenize import DetokenizeRequest, TokenizeRequest

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def http(tiny_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny_server.base_url, timeout=60) as client:
        yield client


def check_error(response: httpx.Response, status: int, param: str | None, words: str) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == status
    assert error["param"] == param
    assert words in error["message"]
    assert "\n" not in error["message"]
    assert "Traceback" not in error["message"]


NESTED: dict[str, Any] = {"type": "string"}
for _ in range(120):
    NESTED = {"type": "object", "properties": {"a": NESTED}}
EXPLODING = {
    "type": "json_schema",
    "json_schema": {
        "name": "x",
        "schema": {
            "allOf": [
                {"anyOf": [{"properties": {f"a{i}{j}": {"type": "string"}}} for j in range(4)]}
                for i in range(14)
            ]
        },
    },
}
BAD_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "nothing"}}}

FIELDS: list[tuple[str, dict[str, Any], str | None, str]] = [
    (CHAT, {"model": "gpt-4o"}, "model", "The model `gpt-4o` does not exist."),
    (CHAT, {"messages": []}, "messages", "must not be empty"),
    (CHAT, {"messages": "hi"}, "messages", "valid list"),
    (CHAT, {"messages": None}, "messages", "valid list"),
    (CHAT, {"messages": [{"role": "wizard", "content": "x"}]}, "messages", "'wizard'; use one of system"),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages",
        "reads text only",
    ),
    (CHAT, {"temperature": "hot"}, "temperature", "valid number"),
    (CHAT, {"temperature": -1}, "temperature", "0 or greater"),
    (CHAT, {"top_p": 0}, "top_p", "above 0"),
    (CHAT, {"top_p": 1.5}, "top_p", "at most 1"),
    (CHAT, {"top_k": -2}, "top_k", "no limit"),
    (CHAT, {"min_p": 2}, "min_p", "between 0 and 1"),
    (CHAT, {"presence_penalty": 3}, "presence_penalty", "between -2 and 2"),
    (CHAT, {"repetition_penalty": 0}, "repetition_penalty", "above 0"),
    (CHAT, {"n": 0}, "n", "greater than or equal to 1"),
    (CHAT, {"n": 2, "temperature": 0}, "n", "greedy"),
    (CHAT, {"seed": 2**63}, "seed", "less than or equal"),
    (CHAT, {"seed": -2}, "seed", "greater than or equal to -1"),
    (CHAT, {"priority": 10**30}, "priority", "less than or equal"),
    (CHAT, {"top_k": 10**30}, "top_k", "no limit"),
    (CHAT, {"stop": [""]}, "stop", "not empty"),
    (CHAT, {"stop": ["a"] * 10_000}, "stop", "at most 256"),
    (CHAT, {"stop": ["a" * 5000, "b" * 5000]}, "stop", "10000 characters; at most 8192"),
    (CHAT, {"stop_token_ids": [999999]}, "stop_token_ids", "token ids 0 to 319"),
    (CHAT, {"max_tokens": 0}, "max_tokens", "at least 1"),
    (CHAT, {"max_tokens": "many"}, "max_tokens", "valid integer"),
    (
        CHAT,
        {"max_tokens": 100_000},
        "max_tokens",
        "cannot be greater than max_model_len=max_total_tokens=512",
    ),
    (CHAT, {"max_completion_tokens": 600}, "max_completion_tokens", "Please request fewer output tokens."),
    (CHAT, {"max_completion_tokens": 512}, "input_tokens", "maximum context length is 512 tokens. However,"),
    (CHAT, {"max_completion_tokens": 512}, "input_tokens", "output tokens. (parameter=input_tokens, value="),
    (CHAT, {"logprobs": True, "top_logprobs": 30}, "top_logprobs", "greater than max allowed: 20"),
    (CHAT, {"top_logprobs": 2}, "top_logprobs", "needs logprobs"),
    (CHAT, {"stream_options": {"include_usage": True}}, "stream_options", "when stream is true"),
    (CHAT, {"stream": True, "prompt_logprobs": 1}, "prompt_logprobs", "not available when streaming"),
    (CHAT, {"tools": []}, "tools", "must not be empty"),
    (CHAT, {"tools": [BAD_TOOL] * 20_000}, "tools", "at most 1,048,576 are accepted"),
    (CHAT, {"tools": [{"type": "function"}]}, "tools", "needs an object"),
    (CHAT, {"tool_choice": "required"}, "tool_choice", "needs tools"),
    (CHAT, {"tools": [BAD_TOOL], "tool_choice": "maybe"}, "tool_choice", "named function"),
    (
        CHAT,
        {"tools": [BAD_TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
        "none of the tools",
    ),
    (CHAT, {"logit_bias": {"x": 5}}, "logit_bias", "token ids as keys"),
    (CHAT, {"logit_bias": {"999999": 5}}, "logit_bias", "token ids 0 to 319"),
    (CHAT, {"logit_bias": {str(i): 1 for i in range(500)}}, "logit_bias", "holds 500 tokens"),
    (CHAT, {"allowed_token_ids": list(range(500))}, "allowed_token_ids", "holds 500 tokens"),
    (CHAT, {"guided_json": {"enum": ["x" * 50] * 40_000}}, "guided_json", "at most 1,048,576 are accepted"),
    (CHAT, {"allowed_token_ids": []}, "allowed_token_ids", "not empty"),
    (CHAT, {"allowed_token_ids": [-1]}, "allowed_token_ids", "token ids 0 to 319"),
    (CHAT, {"bad_words": [""]}, "bad_words", "not empty"),
    (CHAT, {"bad_words": ["a"] * 10_000}, "bad_words", "at most 1024"),
    (CHAT, {"thinking_token_budget": -2}, "thinking_token_budget", "-1 for no limit"),
    (CHAT, {"thinking_token_budget": 9}, "thinking_token_budget", "needs a model that reasons"),
    (TEXT, {"thinking_token_budget": 9}, "thinking_token_budget", "is for chats"),
    (CHAT, {"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", "at least 1"),
    (CHAT, {"truncation_side": "up", "truncate_prompt_tokens": 9}, "truncation_side", "'left' or 'right'"),
    (CHAT, {"repetition_detection": {"max_pattern_size": "x"}}, "repetition_detection", "Expected `int`"),
    (CHAT, {"response_format": {"type": "xml"}}, "response_format", "json_schema, structural_tag"),
    (CHAT, {"response_format": {"type": "json_schema"}}, "response_format", "needs the schema"),
    (CHAT, {"structured_outputs": {"yaml": 1}}, "structured_outputs", "has no 'yaml'"),
    (CHAT, {"structured_outputs": {"choice": "a"}}, "structured_outputs", "list of strings"),
    (CHAT, {"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs", "one kind"),
    (
        CHAT,
        {"guided_regex": "a", "structured_outputs": {"regex": "b"}},
        "structured_outputs",
        "structured_outputs and guided_regex ask for different things",
    ),
    (CHAT, {"guided_regex": "a", "guided_choice": ["b"]}, "structured_outputs", "one kind"),
    (CHAT, {"guided_regex": "(("}, "guided_regex", "cannot be compiled"),
    (CHAT, {"guided_regex": "(a{1,1000}){1,1000}"}, "guided_regex", "too complex"),
    (CHAT, {"guided_grammar": "start: ???"}, "guided_grammar", "cannot be compiled"),
    (CHAT, {"structured_outputs": {"json": NESTED}}, "structured_outputs", "recursion limit"),
    (CHAT, {"structured_outputs": {"json": {"type": "nothing"}}}, "structured_outputs", "Invalid type"),
    (CHAT, {"structured_outputs": {"json": {"$ref": "#"}}}, "structured_outputs", "no text meets it"),
    (CHAT, {"structured_outputs": {"choice": ["c"] * 20_000}}, "structured_outputs", "at most 10,000"),
    (CHAT, {"response_format": EXPLODING}, "response_format", "too large"),
    (CHAT, {"tools": [BAD_TOOL], "tool_choice": "required"}, "tools", "cannot be compiled"),
    (TEXT, {"structured_outputs": {"regex": "(("}}, "structured_outputs", "cannot be compiled"),
    (CHAT, {"use_beam_search": True, "bad_words": ["x"]}, "bad_words", "together with use_beam_search"),
    (CHAT, {"best_of": 3, "stream": True}, "best_of", "only possible without stream"),
    (CHAT, {"best_of": 2, "n": 3}, "best_of", "at least n=3"),
    (CHAT, {"best_of": 2, "temperature": 0}, "best_of", "greedy answers are all alike"),
    (CHAT, {"functions": [{"name": "f"}]}, "functions", "use tools"),
    (CHAT, {"chat_template": "{{ 1 }}"}, "chat_template", "--trust-request-chat-template is not set"),
    (CHAT, {"chat_template_kwargs": {"messages": 1}}, "chat_template_kwargs", "must not hold messages"),
    (
        CHAT,
        {"continue_final_message": True, "add_generation_prompt": True},
        "continue_final_message",
        "Cannot set both",
    ),
    (TEXT, {"prompt": ""}, "prompt", "must not be empty"),
    (TEXT, {"prompt": []}, "prompt", "empty list"),
    (TEXT, {"prompt": {"a": 1}}, "prompt", "valid string"),
    (TEXT, {"prompt": [1, 2, 999999]}, "prompt", "out of vocabulary"),
    (TEXT, {"prompt": "word " * 5000}, "input_tokens", "maximum context length is 512 tokens"),
    (TEXT, {"prompt": "x" * 2_000_000}, "input_text", "(parameter=input_text, value=2000000)"),
    (TEXT, {"prompt": ["a"] * 5000}, "prompt", "5000 prompts with n=1 ask for more than 4096"),
    (TEXT, {"suffix": "end"}, "suffix", "suffix is not currently supported"),
    (TEXT, {"logprobs": 21}, "logprobs", "greater than max allowed: 20"),
]


@pytest.mark.parametrize(("path", "fields", "param", "words"), FIELDS, ids=lambda value: str(value)[:50])
def test_a_field_that_cannot_be_served(
    http: httpx.Client, path: str, fields: dict[str, Any], param: str | None, words: str
) -> None:
    body = {"messages": HI} if path == CHAT else {"prompt": "hi"}
    response = http.post(path, json={**body, **fields})
    check_error(response, 404 if param == "model" else 400, param, words)


def test_the_message_list_is_needed(http: httpx.Client) -> None:
    check_error(http.post(CHAT, json={}), 400, "messages", "Field required")


RAW: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b"{", "not valid JSON"),
    (b'{"messages": [}', "not valid JSON"),
    (b'{"temperature": NaN}', "NaN and Infinity are no JSON numbers"),
    (b'{"temperature": -Infinity}', "NaN and Infinity are no JSON numbers"),
    (b'{"temperature": 1e999}', "out of range"),
    (b'{"seed": ' + b"9" * 5000 + b"}", "out of range"),
    (b'{"messages": "\xff\xfe"}', "not valid UTF-8"),
    (b'{"messages": "\\ud800"}', "lone surrogates"),
    (b"[" * 100_000, "nested too deeply"),
    (b'"text"', "must be a JSON object"),
    (b"[1, 2]", "must be a JSON object"),
]


@pytest.mark.parametrize(("body", "words"), RAW, ids=[words for _, words in RAW])
@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_a_body_that_is_no_request(http: httpx.Client, path: str, body: bytes, words: str) -> None:
    response = http.post(path, content=body, headers={"Content-Type": "application/json"})
    check_error(response, 400, None, words)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type(http: httpx.Client, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    response = http.post(CHAT, content=json.dumps({"messages": HI}).encode(), headers=headers)
    check_error(response, 400, None, "Content-Type must be application/json")


def test_parameters_of_the_content_type_are_fine(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps({"messages": HI, "max_tokens": 1}).encode()
    assert http.post(CHAT, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(http: httpx.Client, chunked: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 2**20

    content = pieces() if chunked else b" " * (100 * 2**20)
    response = http.post(CHAT, content=content, headers={"Content-Type": "application/json"})
    check_error(response, 413, None, "larger than the 32 MiB")


@pytest.mark.parametrize("schema", [MINUTES, FAR], ids=["minutes", "crash"])
def test_a_schema_that_the_compiler_cannot_bear(http: httpx.Client, schema: dict[str, Any]) -> None:
    constraint = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"messages": HI, "max_tokens": 4}
    check_error(
        http.post(CHAT, json={**body, "response_format": constraint}), 400, "response_format", "compile"
    )
    good = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer"}}}
    assert http.post(CHAT, json={**body, "response_format": good}).status_code == 200


def test_a_text_that_is_far_too_long_is_refused_before_all_of_it_is_tokens(http: httpx.Client) -> None:
    most = http.get("/v1/models").json()["data"][0]["max_model_len"]
    text = "a b " * (most * 48)
    response = http.post(TEXT, json={"prompt": text, "max_tokens": 1})
    check_error(response, 400, "input_text", f"This model's maximum context length is {most} tokens.")
    assert f"at least {most} input tokens" in response.json()["error"]["message"]


def test_many_and_deep_messages(http: httpx.Client) -> None:
    many = [{"role": "user", "content": "word " * 20}] * 10_000
    check_error(http.post(CHAT, json={"messages": many}), 400, "input_text", "maximum context length")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", CHAT, 405),
        ("POST", "/health", 405),
        ("GET", "/v1/models/absent/model", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
    ],
)
def test_paths_that_are_not_there(http: httpx.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == status


HARMLESS: dict[str, Any] = {
    "user": "someone",
    "metadata": {"a": "b"},
    "store": False,
    "service_tier": "auto",
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
    "tool_choice": "none",
    "tools": None,
    "logit_bias": {},
    "stop": None,
    "temperature": None,
    "top_p": None,
    "max_tokens": None,
    "stream_options": None,
    "best_of": 1,
    "spaces_between_special_tokens": True,
    "a_field_of_tomorrow": [1, 2, 3],
    "seed": -1,
    "chat_template_kwargs": {"self": 1, "source": 2, "enable_thinking": False, "a b": None},
}


def test_fields_that_change_nothing_are_accepted(http: httpx.Client) -> None:
    response = http.post(CHAT, json={"messages": HI, "max_completion_tokens": 2, **HARMLESS})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("path", "kind"), [(CHAT, ChatCompletionRequest), (TEXT, CompletionRequest)], ids=["chat", "text"]
)
def test_null_is_as_good_as_nothing(http: httpx.Client, path: str, kind: type[GenerationRequest]) -> None:
    needed = {"messages": HI} if path == CHAT else {"prompt": "hi"}
    nothing = {name: None for name in kind.model_fields if name not in needed}
    response = http.post(path, json={**nothing, **needed, "max_tokens": 2})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/tiny", "/metrics", "/docs"])
def test_a_probe_by_head_is_a_get_without_a_body(http: httpx.Client, path: str) -> None:
    asked, probed = http.get(path), http.head(path)
    assert probed.status_code == asked.status_code
    assert probed.headers["content-type"] == asked.headers["content-type"] if asked.content else True
    assert probed.content == b""
    assert http.head(CHAT).status_code == 405


def test_a_preflight_and_a_probe(http: httpx.Client) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang,x-stainless-os",
    }
    allowed = http.options(CHAT, headers=asked)
    assert allowed.status_code == 200
    assert "x-stainless-os" in allowed.headers["access-control-allow-headers"].lower()
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert http.head("/docs").status_code == 200
    refused = http.options(CHAT)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_others_are_answered_meanwhile(http: httpx.Client, tiny_server: Server) -> None:
    json_type = {"Content-Type": "application/json"}
    bodies = [
        b" " * (40 * 2**20),
        b"[" * 100_000,
        json.dumps({"messages": [1] * 1_000_000}).encode(),
        json.dumps({"messages": HI, "stop": ["a"] * 1_000_000}).encode(),
        json.dumps({"messages": [{"role": "user", "content": "word " * 20}] * 10_000}).encode(),
        json.dumps({"messages": HI, "response_format": EXPLODING}).encode(),
        json.dumps({"messages": HI, "guided_regex": "(a{1,1000}){1,1000}"}).encode(),
    ]

    def send(body: bytes) -> int:
        return httpx.post(
            f"{tiny_server.base_url}{CHAT}", content=body, headers=json_type, timeout=60
        ).status_code

    good = {"messages": HI, "max_tokens": 300, "ignore_eos": True, "stream": True, "seed": 5}
    with ThreadPoolExecutor(len(bodies)) as pool, http.stream("POST", CHAT, json=good) as response:
        lines = response.iter_lines()
        first = next(lines)
        answers = pool.map(send, bodies)
        rest = list(lines)
        assert set(answers) == {400, 413}
    assert first.startswith("data: ")
    assert rest[-2:] == ["data: [DONE]", ""]
    assert '"finish_reason":"length"' in "".join(rest)


def test_the_server_goes_on_and_holds_nothing(http: httpx.Client, tiny_server: Server) -> None:
    assert http.post(CHAT, json={"messages": HI, "max_tokens": 2}).status_code == 200
    assert http.get("/health").status_code == 200
    assert "Traceback" not in tiny_server.output()


STRANGE: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**53,
        -(2**63),
        0.5,
        -0.5,
        1e300,
        "",
        "x",
        "1",
        "\x00",
        "你好" * 50,
    ),
    *([], [None], [""], ["x"], [1], [-1], [2**40], [[]], [{}], [[1], ["x"]], {}, {"x": None}, {"type": "x"}),
    *({"type": ["x"]}, {"include_usage": "maybe"}, [{"role": "user"}], [{"role": None, "content": None}]),
    *(
        [{"role": "tool", "content": [{"type": "text", "text": None}]}],
        [{"role": "assistant", "tool_calls": 3}],
    ),
]
UNLISTED = {"modalities", "suffix", "thinking", "functions", "audio", "store"}


ROUTES: list[tuple[str, type[BaseModel]]] = [
    (CHAT, ChatCompletionRequest),
    (TEXT, CompletionRequest),
    ("/tokenize", TokenizeRequest),
    ("/detokenize", DetokenizeRequest),
    ("/inference/v1/generate", GenerateRequest),
]


@pytest.mark.parametrize(("path", "kind"), ROUTES, ids=lambda value: value if isinstance(value, str) else "")
def test_no_value_of_any_field_is_a_failure_of_the_server(
    http: httpx.Client, path: str, kind: type[BaseModel]
) -> None:
    rest: dict[str, Any] = {
        "messages": HI,
        "prompt": "hi",
        "tokens": [65],
        "token_ids": [65],
        "max_tokens": 2,
    }
    if path == "/tokenize":
        del rest["prompt"]
    fields = {*kind.model_fields, *UNLISTED}
    if kind not in (ChatCompletionRequest, CompletionRequest):  # fields of chats are tried there
        fields -= {*ChatFields.model_fields} - {
            "model",
            "tools",
            "chat_template_kwargs",
            "add_special_tokens",
        }
    for field in sorted(fields):
        for value in STRANGE:
            response = http.post(path, json={**rest, field: value})
            assert response.status_code < 500, (field, value, response.text)
            if response.status_code >= 400:
                assert "\n" not in response.json()["error"]["message"], (field, value)
