"""Tool calls, reasoning and grammars from end to end: a scripted model behind the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import Server

from pagoda.execute.scripted import Reply

CHAT = "/v1/chat/completions"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
NOW = {"type": "function", "function": {"name": "now"}}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "北京", "days": 2}}\n</tool_call>'
NOW_CALL = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
REPLIES = [
    ("weather", CALL),
    ("both", f"I will look.\n{CALL}\n{NOW_CALL}"),
    ("wonder", "<think>\nShould I?\n</think>\n\nYes."),
    ("ponder", f"<think>\nA call it is.\n</think>\n\n{CALL}"),
    ("endless", "<think>\nand so on and on"),
    ("broken", '<tool_call>\n{"name": "get_weather", "arguments": {"city": '),
    ("tool_response", "It is sunny."),
    ("forced", '[{"name": "get_weather", "parameters": {"city": "Bonn"}}]'),
    Reply(when="fail", text="Something goes wrong here", fault="raise", after=4),
    ("named", '{"city": "Ulm"}'),
    ("plain", '{"city": "Oslo"} and so on'),
    ("json", '<think>\nLet me see.\n</think>{"city": "Rom", "days": 3}'),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scripted")
    model = scripted_model(folder / "model", REPLIES)
    flags = ("--reasoning-parser", "qwen3", "--tool-call-parser", "hermes", "--enable-auto-tool-choice")
    flags += ("--trust-request-chat-template", "--default-chat-template-kwargs", '{"greeting": "Dear"}')
    with scripted_server(model, folder / "server", *flags) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=60) as client:
        yield client


def ask(http: httpx.Client, text: str, **fields: Any) -> Any:
    body = {"messages": [{"role": "user", "content": text}], **fields}
    response = http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]


def stream(http: httpx.Client, text: str, **fields: Any) -> list[Any]:
    body = {"messages": [{"role": "user", "content": text}], "stream": True, **fields}
    response = http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    parts = response.text.split("\n\n")
    assert parts[-2:] == ["data: [DONE]", ""]
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]


def put_together(chunks: list[Any]) -> dict[str, Any]:
    """The message and the end that a stream's deltas make."""
    message: dict[str, Any] = {"role": None, "content": "", "reasoning": "", "tool_calls": []}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["role"] = delta.get("role", message["role"])
            message["content"] += delta.get("content", "")
            message["reasoning"] += delta.get("reasoning", "")
            assert delta.get("reasoning") == delta.get("reasoning_content")
            for call in delta.get("tool_calls", []):
                if call["index"] == len(message["tool_calls"]):
                    assert (call["type"], bool(call["id"])) == ("function", True)
                    message["tool_calls"].append({"id": call["id"], **call["function"]})
                else:
                    assert set(call) == {"index", "function"}
                    assert set(call["function"]) == {"arguments"}
                    message["tool_calls"][call["index"]]["arguments"] += call["function"]["arguments"]
            message["finish_reason"] = choice["finish_reason"]
    return message


def calls_of(choice: Any) -> list[tuple[str, Any]]:
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in choice["message"]["tool_calls"]
    ]


def test_a_call(http: httpx.Client) -> None:
    choice = ask(http, "weather?", tools=[WEATHER])
    assert calls_of(choice) == [("get_weather", {"city": "北京", "days": 2})]
    [call] = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["id"].startswith("chatcmpl-tool-")
    assert "北京" in call["function"]["arguments"]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"


def test_calls_in_a_stream(http: httpx.Client) -> None:
    chunks = stream(http, "both?", tools=[WEATHER, NOW])
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    message = put_together(chunks)
    assert message["content"].strip() == "I will look."
    first, second = message["tool_calls"]
    assert (first["name"], json.loads(first["arguments"])) == ("get_weather", {"city": "北京", "days": 2})
    assert (second["name"], second["arguments"]) == ("now", "{}")
    assert first["id"] != second["id"]
    assert message["finish_reason"] == "tool_calls"
    assert "<tool_call>" not in json.dumps(chunks)


def test_one_call_alone(http: httpx.Client) -> None:
    choice = ask(http, "both?", tools=[WEATHER, NOW], parallel_tool_calls=False)
    assert [name for name, _ in calls_of(choice)] == ["get_weather"]


def test_without_tools_the_text_stays(http: httpx.Client) -> None:
    assert ask(http, "weather?")["message"]["content"] == CALL
    none = ask(http, "weather?", tools=[WEATHER], tool_choice="none")
    assert (none["message"]["content"], none["finish_reason"]) == (CALL, "stop")


def test_a_broken_call_is_no_call(http: httpx.Client) -> None:
    choice = ask(http, "broken?", tools=[WEATHER])
    assert choice["finish_reason"] in ("stop", "tool_calls")
    assert (choice["finish_reason"] == "tool_calls") == bool(choice["message"]["tool_calls"])


def test_the_conversation_goes_on_after_a_call(http: httpx.Client) -> None:
    history = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": None,
            "reasoning": "hm",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sunny"}]},
    ]
    response = http.post(CHAT, json={"messages": history, "tools": [WEATHER], "return_prompt_text": True})
    assert response.json()["choices"][0]["message"]["content"] == "It is sunny."
    assert '"arguments": {"city": "Rome"}' in response.json()["prompt_text"]
    assert "<|im_start|>system\nBe brief." in response.json()["prompt_text"]


def test_reasoning_has_both_spellings(http: httpx.Client) -> None:
    response = http.post(CHAT, json={"messages": [{"role": "user", "content": "wonder"}]}).json()
    message = response["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "\nShould I?\n"
    assert message["content"] == "\n\nYes."
    details = response["usage"]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < response["usage"]["completion_tokens"]
    chunks = stream(http, "wonder", stream_options={"include_usage": True})
    made = put_together(chunks)
    assert (made["reasoning"], made["content"]) == ("\nShould I?\n", "\n\nYes.")
    assert chunks[-1]["usage"]["completion_tokens_details"] == details


def test_reasoning_can_be_left_out(http: httpx.Client) -> None:
    message = ask(http, "wonder", include_reasoning=False)["message"]
    assert (message["reasoning"], message["content"]) == (None, "\n\nYes.")
    made = put_together(stream(http, "wonder", include_reasoning=False))
    assert (made["reasoning"], made["content"]) == ("", "\n\nYes.")


def test_reasoning_then_a_call(http: httpx.Client) -> None:
    choice = ask(http, "ponder", tools=[WEATHER])
    assert choice["message"]["reasoning"] == "\nA call it is.\n"
    assert calls_of(choice) == [("get_weather", {"city": "北京", "days": 2})]
    made = put_together(stream(http, "ponder", tools=[WEATHER]))
    assert made["reasoning"] == "\nA call it is.\n"
    assert made["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "fields",
    [
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"chat_template_kwargs": {"enable_thinking": "false"}},
        {"enable_thinking": False},
        {"reasoning_effort": "none"},
        {"thinking": {"type": "disabled"}},
    ],
    ids=str,
)
def test_thinking_off_in_every_spelling(http: httpx.Client, fields: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "return_prompt_text": True, **fields}
    response = http.post(CHAT, json=body).json()
    assert response["prompt_text"].endswith("<think>\n\n</think>\n\n")
    assert response["choices"][0]["message"]["content"] == "Hello! How can I help you?"


def test_the_kwargs_of_a_template_go_before_other_spellings(http: httpx.Client) -> None:
    fields = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}}
    body = {"messages": [{"role": "user", "content": "hello"}], "return_prompt_text": True, **fields}
    assert http.post(CHAT, json=body).json()["prompt_text"].endswith("assistant\n")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_required_call_is_forced(http: httpx.Client, streamed: bool) -> None:
    fields: dict[str, Any] = {
        "tools": [WEATHER, NOW],
        "tool_choice": "required",
        "enable_thinking": False,
        "max_tokens": 200,
    }
    if streamed:
        made = put_together(stream(http, "forced", **fields))
        found = [(call["name"], json.loads(call["arguments"])) for call in made["tool_calls"]]
        assert made["finish_reason"] == "tool_calls"
        assert made["content"] == ""
    else:
        choice = ask(http, "forced", **fields)
        found = calls_of(choice)
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
    assert found == [("get_weather", {"city": "Bonn"})]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_named_call_is_forced_and_ends_with_stop(http: httpx.Client, streamed: bool) -> None:
    fields: dict[str, Any] = {
        "tools": [WEATHER, NOW],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "chat_template_kwargs": {"enable_thinking": False},
        "max_tokens": 200,
    }
    if streamed:
        made = put_together(stream(http, "named", **fields))
        [call] = made["tool_calls"]
        assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Ulm"})
        assert made["finish_reason"] == "stop"
    else:
        choice = ask(http, "named", **fields)
        assert calls_of(choice) == [("get_weather", {"city": "Ulm"})]
        assert choice["finish_reason"] == "stop"


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA}}},
        {"structured_outputs": {"json": SCHEMA}},
        {"guided_json": SCHEMA},
        {"guided_json": json.dumps(SCHEMA)},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_object"}, "guided_json": SCHEMA},
    ],
    ids=lambda fields: "+".join(fields),
)
def test_a_grammar_begins_after_the_reasoning(http: httpx.Client, fields: dict[str, Any]) -> None:
    choice = ask(http, "json", **fields, max_tokens=200)
    assert choice["message"]["reasoning"] == "\nLet me see.\n"
    assert json.loads(choice["message"]["content"]) == {"city": "Rom", "days": 3}


def test_a_grammar_holds_whatever_the_model_wants(http: httpx.Client) -> None:
    choice = ask(http, "weather", structured_outputs={"choice": ["yes", "no"]}, enable_thinking=False)
    assert choice["message"]["content"] in ("yes", "no")
    choice = ask(http, "weather", guided_regex="[0-9]{3}", enable_thinking=False)
    assert choice["message"]["content"].isdigit()


def test_old_spellings_are_told_in_the_log(http: httpx.Client, server: Server) -> None:
    ask(http, "weather", guided_choice=["a"], enable_thinking=False)
    assert "guided_choice, the old spelling of structured_outputs with choice" in server.output()


@pytest.mark.parametrize("thinking", [False, True])
def test_a_format_binds_the_answer_and_not_the_call(http: httpx.Client, thinking: bool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA}}
    fields: dict[str, Any] = {"tools": [WEATHER], "response_format": form, "max_tokens": 200}
    question = "ponder" if thinking else "weather"
    choice = ask(http, question, **fields, enable_thinking=thinking)
    assert calls_of(choice) == [("get_weather", {"city": "北京", "days": 2})]
    assert choice["finish_reason"] == "tool_calls"
    choice = ask(http, "plain", **fields, enable_thinking=False)
    assert set(json.loads(choice["message"]["content"])) == {"city", "days"}
    choice = ask(http, "json", **fields)
    assert json.loads(choice["message"]["content"]) == {"city": "Rom", "days": 3}
    choice = ask(http, "weather", tools=[WEATHER], guided_choice=["yes", "no"], enable_thinking=False)
    assert choice["finish_reason"] == "tool_calls"
    choice = ask(http, "forced", **fields, tool_choice="required", enable_thinking=False)
    assert calls_of(choice) == [("get_weather", {"city": "Bonn"})]


def test_a_budget_ends_the_reasoning(http: httpx.Client) -> None:
    choice = ask(http, "endless", thinking_token_budget=5, max_tokens=40)
    assert choice["message"]["reasoning"]
    assert len(choice["message"]["reasoning"]) < len("\nand so on and on")


def test_templates_of_requests_and_defaults_of_the_server(http: httpx.Client) -> None:
    fields: dict[str, Any] = {"return_prompt_text": True, "max_tokens": 1, "documents": [{"text": "D"}]}
    fields["chat_template"] = "{{ greeting }} {{ messages[0].content }} {{ documents[0].text }} {{ more }}"
    body = {"messages": [{"role": "user", "content": "me"}], **fields}
    assert http.post(CHAT, json=body).json()["prompt_text"] == "Dear me D "
    kwargs = {"greeting": "Hi", "more": "x"}
    made = http.post(CHAT, json={**body, "chat_template_kwargs": kwargs}).json()
    assert made["prompt_text"] == "Hi me D x"
    tokens = http.post("/tokenize", json={**body, "chat_template_kwargs": kwargs}).json()
    assert tokens["count"] == made["usage"]["prompt_tokens"]
    refused = http.post(CHAT, json={**body, "chat_template": "{{ 1 / 0 }}"})
    assert refused.status_code == 400
    assert "division by zero" in refused.json()["error"]["message"]


def test_a_prefill_is_gone_on_with(http: httpx.Client) -> None:
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello! How", "prefix": True},
    ]
    body = {"messages": messages, "return_prompt_text": True, "echo": True, "max_tokens": 4}
    response = http.post(CHAT, json=body).json()
    assert response["prompt_text"].endswith("assistant\nHello! How")
    assert response["choices"][0]["message"]["content"].startswith("Hello! How")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"enable_thinking": False},
        {"tools": [WEATHER, NOW]},
        {"tools": [WEATHER, NOW], "logprobs": True, "top_logprobs": 2},
        {"tools": [WEATHER, NOW], "stop": ["days"]},
        {"tools": [WEATHER, NOW], "max_tokens": 12},
        {"tools": [WEATHER, NOW], "parallel_tool_calls": False, "return_token_ids": True},
        {"stop": ["it", "\n\nYes"], "include_stop_str_in_output": True},
        {"include_reasoning": False, "min_tokens": 3},
        {"skip_special_tokens": False, "max_tokens": 7},
        {"echo": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    ],
    ids=str,
)
@pytest.mark.parametrize("question", ["weather", "both", "wonder", "ponder", "broken", "plain"])
def test_a_stream_gives_what_the_whole_answer_gives(
    http: httpx.Client, question: str, fields: dict[str, Any]
) -> None:
    whole = ask(http, question, **{name: value for name, value in fields.items() if name != "stream_options"})
    chunks = stream(http, question, **fields)
    made, message = put_together(chunks), whole["message"]
    assert (made["content"] or None) == (message["content"] or None)
    assert (made["reasoning"] or None) == message["reasoning"]
    assert made["finish_reason"] == whole["finish_reason"]
    calls = [{**call["function"]} for call in message["tool_calls"]]
    assert [{"name": call["name"], "arguments": call["arguments"]} for call in made["tool_calls"]] == calls
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    if fields.get("logprobs"):
        told = [entry for choice in choices for entry in (choice["logprobs"] or {"content": []})["content"]]
        assert told == whole["logprobs"]["content"]
    if fields.get("return_token_ids"):
        assert [token for choice in choices for token in choice.get("token_ids", [])] == whole["token_ids"]
    if fields.get("echo"):
        assert all("usage" in chunk for chunk in chunks)


def test_a_failure_in_mid_stream_is_an_event(http: httpx.Client) -> None:
    *chunks, last = stream(http, "fail", enable_thinking=False)
    assert put_together(chunks)["content"]
    assert set(last) == {"error"}
    assert (last["error"]["code"], last["error"]["type"]) == (500, "InternalServerError")
    whole = http.post(CHAT, json={"messages": [{"role": "user", "content": "fail"}]})
    assert whole.status_code == 500
    assert whole.json()["error"]["type"] == "InternalServerError"
    assert ask(http, "plain", enable_thinking=False)["finish_reason"] == "stop"


def test_through_openais_client(server: Server) -> None:
    with (
        OpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as client,
        client.chat.completions.stream(
            model=server.model,
            messages=[{"role": "user", "content": "both"}],
            tools=[WEATHER, NOW],  # type: ignore[list-item]
        ) as events,
    ):
        final = events.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "now"]
    assert json.loads(calls[0].function.arguments) == {"city": "北京", "days": 2}
