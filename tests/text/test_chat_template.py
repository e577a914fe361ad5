from __future__ import annotations

import pytest

from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.messages import MessageError, prepare_messages

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HI = [{"role": "user", "content": "hi"}]


def render(source: str, **variables: object) -> str:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(HI, **variables)  # type: ignore[arg-type]


def test_rendering() -> None:
    assert render(CHATML) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert render(CHATML, add_generation_prompt=False) == "<|im_start|>user\nhi<|im_end|>\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{{ eos_token }}", "<s></s>"),
        ("{{ {'a': '<é>', 'b': [1]} | tojson }}", '{"a": "<é>", "b": [1]}'),
        ("{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}", '{\n "a": 2,\n "b": 1\n}'),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{{ ns.x }}", "2"),
        ("  {% if true %}\nyes\n  {% endif %}\n", "yes\n"),
        ("{% generation %}x{{ messages[0].content }}{% endgeneration %}", "xhi"),
        ("{{ messages[::-1][0].content }}", "hi"),
        ("{{ thinking is defined }}", "False"),
    ],
)
def test_what_templates_rely_on(source: str, expected: str) -> None:
    assert render(source) == expected


def test_further_variables_reach_the_template() -> None:
    assert render("{{ enable_thinking }}", enable_thinking=False) == "False"


def test_the_date_is_formatted() -> None:
    assert render("{{ strftime_now('%Y') }}").isdigit()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "{{ raise_exception('System role\nnot supported') }}",
            "refuses these messages: System role not supported",
        ),
        ("{{ missing.attribute }}", "'missing' is undefined"),
        ("{{ messages[0].content + 1 }}", "can only concatenate str"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe|immutable|not safely"),
        ("{% for i in range(999999999) %}{% endfor %}", "Range too big"),
    ],
)
def test_failures_are_one_line(source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        render(source)
    assert "\n" not in str(caught.value)


def test_a_template_that_is_no_template() -> None:
    with pytest.raises(TemplateError, match="cannot be used"):
        ChatTemplate("{% for %}")


@pytest.mark.parametrize("content", ["Sure, here", "Sure, here ", "  Sure"])
def test_the_final_message_can_be_continued(content: str) -> None:
    template = ChatTemplate(CHATML)
    messages = [*HI, {"role": "assistant", "content": content}]
    text = template.render(messages, add_generation_prompt=False, continue_final_message=True)
    assert text.endswith(content)


def test_continuing_excludes_a_generation_prompt() -> None:
    with pytest.raises(TemplateError, match="exclude each other"):
        ChatTemplate(CHATML).render(HI, continue_final_message=True)


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert prepare_messages([{"role": "user", "content": parts}])[0]["content"] == "one\ntwo"


def test_an_absent_content_is_empty_text() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"city": "北京"}'}}]
    message = prepare_messages([{"role": "assistant", "content": None, "tool_calls": calls}])[0]
    assert message["content"] == ""
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": {"city": "北京"}}
    assert calls[0]["function"]["arguments"] == '{"city": "北京"}'  # the request itself is not changed
    calls[0]["function"]["arguments"] = '{"city": '
    [message] = prepare_messages([{"role": "assistant", "tool_calls": calls}])
    assert message["tool_calls"][0]["function"]["arguments"] == '{"city": '  # an answer that broke off


@pytest.mark.parametrize(("keep", "role"), [(False, "system"), (True, "developer")])
def test_developer_is_system_where_the_template_does_not_know_it(keep: bool, role: str) -> None:
    assert prepare_messages([{"role": "developer", "content": "x"}], keep_developer=keep)[0]["role"] == role


def test_both_spellings_of_reasoning() -> None:
    message = prepare_messages([{"role": "assistant", "content": "x", "reasoning": "why"}])[0]
    assert message["reasoning"] == message["reasoning_content"] == "why"


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "must not be empty"),
        (
            [{"role": "wizard", "content": "x"}],
            r"messages\[0\].role is 'wizard'; use one of system, developer",
        ),
        ([{"content": "x"}], r"messages\[0\].role is None"),
        (
            [*HI, {"role": "user", "content": [{"type": "image_url"}]}],
            r"messages\[1\].*'image_url'; this model reads text",
        ),
        ([{"role": "user", "content": 3}], "must be a string or a list of text parts"),
        ([{"role": "assistant", "tool_calls": ["x"]}], "without a function"),
        ([{"role": "assistant", "tool_calls": 3}], "must be a list"),
    ],
)
def test_messages_that_cannot_be_used(messages: list[dict[str, object]], error: str) -> None:
    with pytest.raises(MessageError, match=error):
        prepare_messages(messages)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10**10 }}",
        "{{ 10**10 * 'x' }}",
        "{{ [1] * 10**10 }}",
        "{{ 10**(10**8) }}",
        "{{ '%99999999999d' % 1 }}",
        "{% set ns = namespace(x='abc') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='abc') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ],
)
def test_values_do_not_grow_without_end(source: str) -> None:
    with pytest.raises(TemplateError, match="too large"):
        ChatTemplate(source).render([{"role": "user", "content": "hi"}])


def test_operators_work_as_they_do() -> None:
    source = "{{ 'ab' * 3 }} {{ 2 ** 8 }} {{ 7 % 4 }} {{ 'a' + 'b' }}{{ 'c' ~ 1 ~ nothing }}"
    source += " {{ [1] + [2] }} {{ '%03d' % 7 }}"
    assert ChatTemplate(source).render([]) == "ababab 256 3 abc1 [1, 2] 007"
