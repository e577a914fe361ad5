"""What an answer is held to, by the names of vLLM's `StructuredOutputsParams`."""

from __future__ import annotations

from json import dumps
from typing import Any

import msgspec

#: the kinds of constraint; exactly one of them is given
KINDS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")


class ParameterError(ValueError):
    """A parameter that cannot be served; `parameter` names it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class GrammarError(ParameterError):
    """A constraint that cannot be compiled, or has become too complex to go on; one line for the user."""

    def __init__(self, message: str) -> None:
        super().__init__("structured_outputs", message)


class StructuredOutputsParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One constraint on the text of an answer. Raises ParameterError unless exactly one is given.

    json: a JSON Schema, as text or as the object. regex: for the whole answer. choice: one of these strings.
    grammar: Lark, or the EBNF that llama.cpp and vLLM's examples write. json_object: any JSON object.
    structural_tag: text that is free but between tags, as text or as the object; vLLM's older form
    ({"structures": [...], "triggers": [...]}) or the newer one ({"type": "structural_tag", "format": ...}).
    disable_any_whitespace: JSON without whitespace between its parts. whitespace_pattern: a regular
    expression of what may stand there. disable_additional_properties: JSON objects hold only the properties
    that the schema names. disable_fallback: accepted for vLLM's clients; there is one back end.

    `engine.grammar.check_grammar` says whether it can be compiled.
    """

    json: str | dict[str, Any] | bool | None = None
    regex: str | None = None
    choice: tuple[str, ...] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | dict[str, Any] | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    disable_fallback: bool = False
    whitespace_pattern: str | None = None

    def __post_init__(self) -> None:
        for name in ("json", "structural_tag"):
            if isinstance(value := getattr(self, name), dict):
                # As text it reaches the engine whatever its numbers are.
                msgspec.structs.force_setattr(self, name, _text(name, value))
        if self.choice is not None:
            msgspec.structs.force_setattr(self, "choice", tuple(self.choice))
        if self.json_object is False:
            msgspec.structs.force_setattr(self, "json_object", None)
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ParameterError(
                "structured_outputs",
                "You can only use one kind of structured outputs constraint but multiple are specified: "
                f"{', '.join(given)}.",
            )
        if not given:
            raise ParameterError(
                "structured_outputs",
                f"structured_outputs needs one of {', '.join(KINDS)}, but none is given.",
            )
        for name in ("regex", "grammar", "whitespace_pattern"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ParameterError("structured_outputs", f"structured_outputs.{name} must be a string.")
        if self.choice is not None and not all(isinstance(each, str) for each in self.choice):
            raise ParameterError("structured_outputs", "structured_outputs.choice must be a list of strings.")
        if self.choice is not None and not self.choice:
            raise ParameterError("structured_outputs", "structured_outputs.choice must not be empty.")


class GuidedDecodingParams(StructuredOutputsParams, frozen=True, kw_only=True, omit_defaults=True):
    """The older name, with a field that chose among back ends; there is one here."""

    backend: str | None = None


def _text(name: str, value: dict[str, Any]) -> str:
    try:
        return dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"structured_outputs.{name} cannot be written as JSON: {error}."
        raise ParameterError("structured_outputs", message) from error
