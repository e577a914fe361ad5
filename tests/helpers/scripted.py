"""Scripted models and servers: they say what a test tells them to, over HTTP and in every mode of the engine.

    model = scripted_model(tmp_path / "model", [("weather", '<tool_call>\n{"name": ...}\n</tool_call>')])
    with scripted_server(model, tmp_path, "--tool-call-parser", "hermes") as server: ...

A reply is (substring of the prompt, text), or a `Reply` (pagoda.execute.scripted) for what is slow, repeats
or fails. The reply whose substring comes last in the prompt is said, so a conversation is answered by its
newest message; `default` when none fits. Special tokens are written out as text ("<think>", "<tool_call>").
The model then ends its answer; with ignore_eos it says the reply again. Grammars, logit_bias, bad_words,
penalties and stop strings work as with any model: the script only puts its next token far above all others,
and goes on by text where something else was chosen.

Tokenizers: "tiny" (bytes, a few words and the tags; ChatML with tools and thinking, in Qwen's form) or
the real "qwen2.5", "qwen3" and "qwq" with vocabularies of 152 thousand, built from the folder of tokenizers
that may lie beside the checkout; a test that asks for them is skipped where it does not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

import msgspec
import pytest
from tests.helpers.models import tiny_tokenizer
from tests.helpers.servers import Server, start_server
from tokenizers import AddedToken

from pagoda.execute.scripted import SCRIPT_FILE, Reply, Script

TokenizerName = Literal["tiny", "qwen2.5", "qwen3", "qwq"]

QWEN_VOCAB = 151_936  #: rows of the published checkpoints, more than the tokenizer has
TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
#: ChatML with tools and thinking; what a Qwen3 would be sent, in fewer words
CHAT_TEMPLATE = """\
{%- if tools -%}
<|im_start|>system
Answer a call as <tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>. Tools:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}
{% if message.role == 'tool' %}<tool_response>
{{ message.content }}
</tool_response>
{%- else %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}

<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}
{%- endif -%}
"""


def scripted_model(
    folder: Path,
    replies: Sequence[tuple[str, str] | Reply] = (),
    default: str | Reply = "Hello! How can I help you?",
    tokenizer: TokenizerName = "tiny",
    *,
    max_model_len: int = 8192,
) -> Path:
    """Writes the model's folder, to be served with `--executor scripted`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer == "tiny":
        _write_tiny_tokenizer(folder)
        vocab_size = 0
    else:
        built = _real_tokenizers() / tokenizer
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(built / name, folder / name)
        vocab_size = QWEN_VOCAB
    config = {"architectures": ["ScriptedForCausalLM"], "max_position_embeddings": max_model_len}
    if vocab_size:
        config["vocab_size"] = vocab_size
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    script = Script(
        default=Reply(default) if isinstance(default, str) else default,
        replies=[r if isinstance(r, Reply) else Reply(when=r[0], text=r[1]) for r in replies],
    )
    (folder / SCRIPT_FILE).write_bytes(msgspec.json.encode(script))
    return folder


@contextmanager
def scripted_server(
    model: Path, folder: Path, *arguments: str, name: str = "scripted", workspace: bool = False
) -> Iterator[Server]:
    """`pagoda serve` with a scripted model; `folder` is for its own files, `arguments` for its flags."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = ("--executor", "scripted", *arguments)
    server = start_server(model, folder, *flags, name=name, workspace=workspace)
    try:
        yield server
    finally:
        server.stop()


def real_tokenizers() -> Path:
    """The folder that builds real tokenizers, beside the checkout; skips the test where there is none."""
    source = Path(__file__).resolve().parents[3] / "shared" / "tokenizers"
    if not (source / "build.py").is_file():
        pytest.skip(f"needs the real Qwen tokenizers: there is no {source / 'build.py'}")
    return source


@cache
def _built(source: Path) -> Path:
    out = Path(mkdtemp(prefix="pagoda-tokenizers-"))
    subprocess.run([sys.executable, str(source / "build.py"), str(out)], check=True, capture_output=True)
    return out


def _real_tokenizers() -> Path:
    return _built(real_tokenizers())


def qwen_tokenizer(family: str) -> Path:
    """The folder of a real Qwen tokenizer, "qwen2.5", "qwq" or "qwen3"; skips as `real_tokenizers` does."""
    return _real_tokenizers() / family


def _write_tiny_tokenizer(folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": CHAT_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
