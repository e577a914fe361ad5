"""The application, as far as functions look into it."""

from __future__ import annotations

from types import SimpleNamespace

from pagoda.workspace.functions.plugin_process.request import Settings

from .utils.chat import generate_chat_completion

app = SimpleNamespace(state=SimpleNamespace(config=Settings(), MODELS={}))
generate_chat_completions = generate_chat_completion
chat_completion = generate_chat_completion
