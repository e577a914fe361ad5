"""`pagoda inspect` of models that make vectors."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import one_line, pagoda
from tests.helpers import goldens


def test_a_bert_program_is_printed(tmp_path: Path) -> None:
    result = pagoda(tmp_path, "inspect", str(goldens.FOLDER / "bert"))
    assert result.returncode == 0, result.stderr
    shown = result.stdout
    assert "embeddings of 64 values: hidden states, mean of all tokens, scaled to length 1" in shown
    assert "bert: 2 layers, width 64" in shown
    assert "2 times:" in shown
    for operation in ("EmbedPositions", "LayerNorm", "causal=False", "kind=gelu", "Result"):
        assert operation in shown


def test_a_cross_encoder_tells_its_scores(tmp_path: Path) -> None:
    result = pagoda(tmp_path, "inspect", str(goldens.FOLDER / "bert_classifier"))
    assert "scores by sigmoid: LABEL_0" in result.stdout
    assert "classifier.weight (1 x 64)" in result.stdout


def test_chat_with_a_model_that_makes_vectors_gives_one_line(tmp_path: Path) -> None:
    ended = pagoda(tmp_path, "chat", str(goldens.FOLDER / "bert"), stdin="hello\n")
    assert "chat" in one_line(ended, 1)
