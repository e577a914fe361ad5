"""What the scripted models of the suites say: a call of a tool where a test asks for one, and so on.

A suite finds the words here that make the model do what it needs. The substring that comes last in the
prompt decides. Where a request forces a tool ("required"), the grammar wants a list of calls instead of tags.
"""

from __future__ import annotations

import json

from pagoda.execute.scripted import Reply

Replies = list[Reply]

STEP_MS = 2  #: so that a stream comes in pieces, as from a real model

JOKE = json.dumps({"setup": "Why do cats sit on keyboards?", "punchline": "They love the mouse."})
PERSON = json.dumps({"name": "Ada", "age": 36})
CITY = json.dumps({"city": "Mexico City", "country": "Mexico"})


def tool_replies() -> Replies:
    """For the server without reasoning."""
    return replies(
        # A call by the model's own choice, and what it makes of the result.
        ("weather in Paris", tagged("get_weather", city="Paris")),
        ("22 degrees", "It is sunny in Paris, 22 degrees."),
        # langchain-tests
        ("magic_function(3)", listed("magic_function", input=3)),
        ("magic_function_no_args()", listed("magic_function_no_args")),
        ("generate a Pirate greeting", listed("greeting_generator", answer_style="Pirate")),
        ("What is 3 + 4", listed("my_adder_tool", a=3, b=4)),
        ("weather in San Francisco", tagged("get_weather", location="San Francisco, CA")),
        ("It's sunny.", "It is sunny in San Francisco."),
        ("你好啊集团", customer("你好啊集团")),
        (
            "こんにちは株式会社",
            customer("こんにちは株式会社"),
        ),
        ("Hello!", listed("magic_function", input=3)),
        ("joke about cats", JOKE),
        # instructor, pydantic-ai, litellm, llama-index
        ("Ada is 36", PERSON),
        ("final_result for Mexico", listed("final_result", city="Mexico City", country="Mexico")),
        ("Mexico as JSON", CITY),
    )


def reasoning_replies() -> Replies:
    """For the server with a reasoning parser: every answer thinks first."""
    return replies(
        ("Think about", "<think>\nLet me think.\n</think>\n\nThe answer is 42."),
        ("weather in Paris", "<think>\nI need a tool.\n</think>\n\n" + tagged("get_weather", city="Paris")),
    )


def replies(*pairs: tuple[str, str]) -> Replies:
    return [Reply(when=when, text=text, step_ms=STEP_MS) for when, text in pairs]


def tagged(name: str, **arguments: object) -> str:
    """One call as Qwen's models write it."""
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"


def listed(name: str, **arguments: object) -> str:
    """One call as a request that requires one gets it."""
    return json.dumps([{"name": name, "parameters": arguments}], ensure_ascii=False)


def customer(name: str) -> str:
    return listed("unicode_customer", customer_name=name, description=name)
