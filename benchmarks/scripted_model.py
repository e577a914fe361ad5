"""A model without weights for benches of the server: a folder for `pagoda serve --executor scripted`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from pagoda.execute.scripted import SCRIPT_FILE, Reply, Script

#: what the model says and its vocabulary is made of; about four letters a token
TEXT = (
    "The harbour wakes before the town does. Lamps go out one by one along the quay, gulls quarrel over what "
    "the night boats left, and the first ferry leaves with three passengers and a dog. Nobody hurries. The "
    "woman at the ticket window has read the same chapter twice and means to read it again; the baker's van "
    "stands with its doors open, and warm bread is cheaper than talk. By eight the cranes are turning. "
)
TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_VOCABULARY = 512
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")


def write(folder: Path, *, step_ms: float = 0.0, thinking: bool = False) -> Path:
    """A model that says TEXT again and again, `step_ms` apart at least; with `thinking` it thinks first."""
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    described = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    config = {"architectures": ["ScriptedForCausalLM"], "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    text = f"<think>\n{TEXT}\n</think>\n\n{TEXT}" if thinking else TEXT
    script = Script(default=Reply(text, repeat=True, step_ms=step_ms))
    (folder / SCRIPT_FILE).write_bytes(msgspec.json.encode(script))
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(_SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in _TAGS])
    return tokenizer
