"""The scripts of deployment guides for vLLM run here with their import line and the model's path changed.

The guides lie beside the checkout, in shared/guides; where they do not, the tests say so. The model is a tiny
random one with the real tokenizer of Qwen2.5.
"""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.helpers.models import tiny_folder, tiny_sizes
from tests.helpers.scripted import QWEN_VOCAB, qwen_tokenizer

from pagoda.text.chat_template import ChatTemplate
from pagoda.text.load import load_tokenizer

GUIDES = Path(__file__).resolve().parents[3] / "shared" / "guides"
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_MODEL_PATH = re.compile(r"""(?<=[=] )(['"])[./][^'"]*Qwen[^'"]*\1""")


def scripts() -> list[Any]:
    found = []
    for guide in sorted(GUIDES.glob("*.md")):
        blocks = _BLOCK.findall(guide.read_text("utf-8", "replace"))
        for number, block in enumerate(block for block in blocks if "from vllm import" in block):
            found.append(pytest.param(block, id=f"{guide.stem}-{number}"))
    return found or [pytest.param("", marks=pytest.mark.skip(f"there are no guides in {GUIDES}"))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = replace(
        tiny_sizes("qwen2"),
        vocab_size=QWEN_VOCAB,
        max_position_embeddings=4096,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    folder = tiny_folder(tmp_path_factory.mktemp("guides") / "qwen", "qwen2", sizes=sizes)
    for file in qwen_tokenizer("qwen2.5").iterdir():
        shutil.copyfile(file, folder / file.name)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [151645, 151643]}))
    return folder


class AutoTokenizer:
    """The part of Transformers that the scripts use, for where it is not installed."""

    def __init__(self, folder: str) -> None:
        self._template = ChatTemplate(load_tokenizer(Path(folder)).chat_template or "")

    @classmethod
    def from_pretrained(cls, folder: str, **_: Any) -> AutoTokenizer:
        return cls(folder)

    def apply_chat_template(
        self, messages: list[dict[str, Any]], tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        return self._template.render(messages, add_generation_prompt=add_generation_prompt)


@pytest.mark.parametrize("script", scripts())
@pytest.mark.filterwarnings("error")
def test_a_script_runs(
    script: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if find_spec("transformers") is None:
        module = ModuleType("transformers")
        module.AutoTokenizer = AutoTokenizer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "transformers", module)
    changed, count = _MODEL_PATH.subn(
        repr(str(model)), script.replace("from vllm import", "from pagoda import")
    )
    assert count == 1
    file = tmp_path / "script.py"
    file.write_text(changed, "utf-8")
    runpy.run_path(str(file), run_name="__main__")
    assert len(capsys.readouterr().out.strip()) > 100, "it prints an answer"
