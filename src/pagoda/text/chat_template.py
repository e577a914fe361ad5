"""Chat templates: the Jinja source a checkpoint carries, rendered in a sandbox as Hugging Face renders it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jinja2
import jinja2.compiler
import jinja2.exceptions
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
import jinja2.sandbox

_MOST_TEXT = 64 * 1024 * 1024  #: characters of a value that operators make
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{7})")  #: a format that asks for a million spaces


class TemplateError(ValueError):
    """The template cannot be used, or refuses these messages; one line."""


class _GenerationBlock(jinja2.ext.Extension):
    """`{% generation %} ... {% endgeneration %}` marks what the assistant says, for training; here it is its
    content.
    """

    tags = {"generation"}  # noqa: RUF012 - declared so by the base class

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Generator(jinja2.compiler.CodeGenerator):
    """Lets the environment do what `~` does."""

    def visit_Concat(self, node: jinja2.nodes.Concat, frame: jinja2.compiler.Frame) -> None:  # noqa: N802
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Nothing but text comes out of it, and operators make no more of it than a conversation could hold."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})
    code_generator_class = _Generator

    def joined(self, parts: Sequence[Any]) -> str:
        """What `~` makes of its parts."""
        texts = [str(part) for part in parts]
        if sum(map(len, texts)) > _MOST_TEXT:
            raise jinja2.exceptions.SecurityError("a value grows too large")
        return "".join(texts)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        if _size_of(operator, left, right) > _MOST_TEXT:
            raise jinja2.exceptions.SecurityError("a value grows too large")
        return super().call_binop(context, operator, left, right)


def _size_of(operator: str, left: Any, right: Any) -> int:
    """About how large a result is, in characters or elements."""
    if operator == "**":
        return left.bit_length() * right if isinstance(left, int) and isinstance(right, int) else 0
    if operator == "+":
        return _length(left) + _length(right)
    if operator == "%":
        return _MOST_TEXT + 1 if isinstance(left, str) and _WIDE.search(left) else 0
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() + right.bit_length()
    for text, times in ((left, right), (right, left)):
        if isinstance(times, int):
            return _length(text) * times
    return 0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


class ChatTemplate:
    """A compiled template. Raises TemplateError for source that is no valid template."""

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        self.source = source
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        environment = _Sandbox(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _GenerationBlock]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise TemplateError(f"The chat template cannot be used: {_one_line(error)}") from error

    def render(
        self,
        messages: list[dict[str, Any]],
        /,
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[dict[str, Any]] | None = None,
        continue_final_message: bool = False,
        **kwargs: Any,
    ) -> str:
        """The prompt for `messages`, whose contents are strings (see `pagoda.text.messages`).

        continue_final_message: end inside the last message, so that the answer goes on from there; excludes
        add_generation_prompt. kwargs: further variables of the template. Raises TemplateError.
        """
        if continue_final_message and add_generation_prompt:
            raise TemplateError("continue_final_message and add_generation_prompt exclude each other.")
        variables = {**self._tokens, **kwargs}
        variables.update(messages=messages, tools=tools, add_generation_prompt=add_generation_prompt)
        try:
            text = self._template.render(variables)
        except TemplateError:
            raise
        except RecursionError as error:
            raise TemplateError("The chat template failed: the messages are nested too deeply.") from error
        except Exception as error:  # a template is foreign code: whatever it raises is its failure
            raise TemplateError(f"The chat template failed: {_one_line(error)}") from error
        return _cut_after_final_message(text, messages) if continue_final_message else text


def _cut_after_final_message(text: str, messages: list[dict[str, Any]]) -> str:
    final = messages[-1].get("content") if messages else None
    if not isinstance(final, str) or not final.strip():
        raise TemplateError("continue_final_message needs a last message with text.")
    start = text.rfind(final.strip())
    if start < 0:
        raise TemplateError("The chat template changes the last message, so it cannot be continued.")
    whole = final.lstrip()
    return text[: start + len(whole)] if text.startswith(whole, start) else text[: start + len(final.strip())]


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as the model was trained on: no HTML escapes and characters as they are."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(f"The chat template refuses these messages: {_one_line(message)}")


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def _one_line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__
