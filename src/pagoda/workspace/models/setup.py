"""What an answer is asked with, and in which order settings go before one another.

Parameters: those of the chat go before the preset's, those before the model's; chat_template_kwargs are
merged key by key. System prompts do not replace one another: the model's comes first, then the preset's,
then the chat's, so that an administrator's rules stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pagoda.workspace.storage.tables import Model

#: parameters that go to the model as they are
PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "reasoning_effort",
    "chat_template_kwargs",
)


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings of a model, with those of the preset that was chosen on it. layers: of parameters, the nearest
    to the user last; each may hold "system" and "thinking" beside PARAMETERS.
    """

    layers: tuple[Mapping[str, Any], ...] = ()
    filter_ids: tuple[str, ...] = ()
    default_filter_ids: tuple[str, ...] = ()
    action_ids: tuple[str, ...] = ()
    think_tags: bool = True
    meta: Mapping[str, Any] = field(default_factory=dict)

    def merged(self, chat: Mapping[str, Any]) -> dict[str, Any]:
        """PARAMETERS and "system" of an answer in a chat with these parameters."""
        return merged([*self.layers, chat])

    def defaults(self) -> dict[str, Any]:
        """PARAMETERS, and "thinking", of a chat that sets none. The system prompts are not for everybody."""
        found = self.merged({})
        found.pop("system", None)
        thinking = found.pop("chat_template_kwargs", {}).get("enable_thinking")
        return found | ({"thinking": thinking} if isinstance(thinking, bool) else {})


def setup_of(rows: Sequence[Model]) -> Setup:
    """rows: of the model, then of the preset, as far as there are any."""
    layers = [_layer(row) for row in rows]
    ids: dict[str, tuple[str, ...]] = {}
    for name in ("filter_ids", "default_filter_ids", "action_ids"):
        found = [each for row in rows for each in row.meta.get(name) or []]
        ids[name] = tuple(dict.fromkeys(found))
    meta: dict[str, Any] = {}
    for row in rows:
        meta |= row.meta
    return Setup(tuple(layers), **ids, think_tags=meta.get("think_tags", True) is not False, meta=meta)


def merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One set of parameters out of several; the last goes before the others."""
    found: dict[str, Any] = {}
    template: dict[str, Any] = {}
    systems = []
    for layer in layers:
        found |= {name: layer[name] for name in PARAMETERS if layer.get(name) is not None}
        if isinstance(layer.get("chat_template_kwargs"), dict):
            template |= layer["chat_template_kwargs"]
        if isinstance(layer.get("thinking"), bool):
            template["enable_thinking"] = layer["thinking"]
        if system := str(layer.get("system") or "").strip():
            systems.append(system)
    found.pop("chat_template_kwargs", None)
    if template:
        found["chat_template_kwargs"] = template
    if systems:
        found["system"] = "\n\n".join(systems)
    return found


def _layer(row: Model) -> dict[str, Any]:
    meta = {name: row.meta[name] for name in ("system", "thinking") if row.meta.get(name) is not None}
    return {**row.params, **meta}
