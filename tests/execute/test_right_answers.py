"""Right answers: the CPU executor's greedy tokens of the default model against the float32 reference.

The CPU executor answers 20 prompts; the reference then runs prompt and answer in one step, so that both see
the same tokens before every position, and every position is compared.

The kernels multiply int8 activations (groups of 32) and keep queries, keys, values and attention weights in
bfloat16. What that costs is stated by NumPy alone, with no kernel involved: the reference runs once more with
these roundings, and the error is measured in the difference of its top two logits, which is what decides a
token. Roundings are many and independent, so the error is close to normal; the stated quantisation error is
four of its standard deviations over all positions (0.7, where logits spread by 3.4). The CPU executor's token
may differ from the reference's only where the reference's top two logits are closer than that.

A single position cannot be held to the rounded reference: where two orders of summation fall on different
sides of a rounding boundary, a whole step of int8 follows, and after a few layers the errors are independent.
So the sizes of both errors are compared as well: the kernels may lose no more than their formats explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.helpers import goldens
from tests.helpers.batches import Piece, step_batch, whole_prompt

from pagoda.execute.base import BLOCK_SIZE, Executor
from pagoda.execute.cpu import CpuExecutor
from pagoda.execute.reference import ReferenceExecutor
from pagoda.models import build_program
from pagoda.text.load import load_tokenizer
from pagoda.weights import open_checkpoint

CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = (
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time there was a small dragon who",
    "The three primary colours are",
    "In 1969, the first people",
    "To be, or not to be:",
    CHAT.format("What is the largest planet of the solar system?"),
    CHAT.format("Write one sentence about the sea."),
    CHAT.format("List three fruits."),
    "def fibonacci(n):\n",
    "#include <stdio.h>\n\nint main(void) {\n",
    "SELECT name FROM users WHERE",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n",
    "for (let i = 0; i < 10; i++) {",
    CHAT.format("Write a Python function that adds two numbers."),
    "北京是中国的",
    "今天天气很好,我们",
    "一二三四五",
    CHAT.format("你好!"),
    CHAT.format("请用中文介绍一下长城。"),
)
ANSWER = 16  #: tokens of each answer
BLOCKS = 3  #: cache blocks of each prompt
DEVIATIONS = 4.0  #: standard deviations that are the stated quantisation error
MOST_NOISE = 1.25  #: of the rounded reference's error: two samples of one noise differ by a tenth or so

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answer:
    """A prompt with its answer, and the logits at all its positions from each executor."""

    text: str
    answered: str
    first: int  #: the position whose logits chose the answer's first token
    cpu: Array
    exact: Array
    rounded: Array

    def gaps(self) -> Array:
        """The difference of the exact top two logits at each position."""
        top = np.partition(self.exact, -2, axis=-1)
        return np.asarray(top[:, -1] - top[:, -2])

    def gap_errors(self, logits: Array) -> Array:
        """By how much other logits miss these differences."""
        rows = np.arange(len(self.exact))
        second, first = np.argsort(self.exact, axis=-1)[:, -2:].T
        return np.asarray(logits[rows, first] - logits[rows, second] - self.gaps())

    def differing(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.cpu.argmax(axis=-1) != self.exact.argmax(axis=-1))


@pytest.fixture(scope="module")
def answers(default_model_path: Path) -> list[Answer]:
    tokenizer = load_tokenizer(default_model_path)
    checkpoint = open_checkpoint(default_model_path)
    program = build_program(checkpoint.config)
    prompts = [tokenizer.encode(text) for text in PROMPTS]
    blocks = BLOCKS * len(prompts)
    cpu = CpuExecutor(
        program, checkpoint, num_blocks=blocks, max_tokens=1024, max_model_len=BLOCKS * BLOCK_SIZE
    )
    sequences, from_cpu = answer(cpu, prompts)
    exact, rounded = (
        all_logits(
            ReferenceExecutor(program, checkpoint, num_blocks=blocks, max_tokens=2048, activation=activation),
            sequences,
        )
        for activation in ("float32", "int8")
    )
    return [
        Answer(
            PROMPTS[n],
            tokenizer.decode(sequences[n][len(prompts[n]) :]),
            len(prompts[n]) - 1,
            from_cpu[n],
            exact[n],
            rounded[n],
        )
        for n in range(len(prompts))
    ]


def pieces(sequences: list[list[int]], starts: list[int]) -> list[Piece]:
    return [
        Piece(tokens, start, len(tokens), range(n * BLOCKS, (n + 1) * BLOCKS))
        for n, (tokens, start) in enumerate(zip(sequences, starts, strict=True))
    ]


def answer(executor: Executor, prompts: list[list[int]]) -> tuple[list[list[int]], list[Array]]:
    """Greedy answers to all prompts together, and logits at all positions but the last."""
    sequences = [list(prompt) for prompt in prompts]
    logits: list[list[Array]] = [[] for _ in prompts]
    starts = [0] * len(prompts)
    for _ in range(ANSWER):
        step = executor.step(step_batch(pieces(sequences, starts)))
        ends = np.cumsum([len(tokens) - start for tokens, start in zip(sequences, starts, strict=True)])
        starts = [len(tokens) for tokens in sequences]
        for n, part in enumerate(np.split(step, ends[:-1])):
            logits[n].append(part.copy())
            sequences[n].append(int(part[-1].argmax()))
    return sequences, [np.concatenate(parts) for parts in logits]


def all_logits(executor: Executor, sequences: list[list[int]]) -> list[Array]:
    """Logits at all positions but the last, every sequence in one piece."""
    known = [tokens[:-1] for tokens in sequences]
    step = executor.step(step_batch(pieces(known, [0] * len(known))))
    return np.split(step, np.cumsum([len(tokens) for tokens in known])[:-1])


def stated_error(answers: list[Answer]) -> float:
    errors = np.concatenate([one.gap_errors(one.rounded) for one in answers])
    return DEVIATIONS * float(np.sqrt(np.mean(errors.astype(np.float64) ** 2)))


def noise(answers: list[Answer], which: str) -> float:
    """Root mean square of the difference to the exact logits."""
    squares = [np.mean((getattr(one, which) - one.exact).astype(np.float64) ** 2) for one in answers]
    return float(np.sqrt(np.mean(squares)))


@pytest.fixture(scope="module", autouse=True)
def table(answers: list[Answer], summary_lines: list[str]) -> None:
    summary_lines.append(
        "prompt                          tokens  largest logit difference   other tokens (their gap)"
    )
    summary_lines.append("                                        CPU   rounding in NumPy")
    for one in answers:
        other = ", ".join(f"{gap:.2f}" for gap in one.gaps()[one.first :][one.differing()[one.first :]])
        shown = ascii(one.text.removeprefix("<|im_start|>user\n"))[1:-1][:30]
        largest = [np.abs(logits - one.exact).max() for logits in (one.cpu, one.rounded)]
        summary_lines.append(
            f"{shown:<31} {len(one.cpu) + 1:>6} {largest[0]:>8.2f} {largest[1]:>8.2f}            {other}"
        )
    positions = sum(len(one.cpu) for one in answers)
    same = positions - sum(int(one.differing().sum()) for one in answers)
    summary_lines.append(
        f"{same} of {positions} positions have the same greedy token. Stated quantisation error of a "
        f"difference of two logits: {stated_error(answers):.2f}; rms error of a logit: "
        f"{noise(answers, 'cpu'):.3f} (CPU), {noise(answers, 'rounded'):.3f} (rounding in NumPy)."
    )


@pytest.mark.parametrize("number", range(len(PROMPTS)))
def test_greedy_tokens_are_those_of_the_reference(number: int, answers: list[Answer]) -> None:
    one = answers[number]
    wrong = one.differing() & (one.gaps() >= stated_error(answers))
    assert not wrong.any(), f"positions {np.flatnonzero(wrong)} of {one.text!r}"


def test_the_reference_agrees_with_transformers(default_model_path: Path) -> None:
    golden = np.load(goldens.FOLDER / "default_model.npz")
    checkpoint = open_checkpoint(default_model_path)
    program = build_program(checkpoint.config)
    executor = ReferenceExecutor(program, checkpoint, num_blocks=BLOCKS, max_tokens=128)
    logits = whole_prompt(executor, golden["tokens"].tolist())[golden["rows"]]
    found = np.take_along_axis(logits, golden["ids"], axis=-1)
    assert np.abs(found - golden["logits"]).max() <= goldens.TOLERANCE * np.abs(golden["logits"]).max()
    np.testing.assert_array_equal(logits.argmax(axis=-1), golden["ids"][:, 0])


def test_the_kernels_lose_no_more_than_their_number_formats_explain(answers: list[Answer]) -> None:
    assert noise(answers, "cpu") <= MOST_NOISE * noise(answers, "rounded")
    errors = np.concatenate([one.gap_errors(one.cpu) for one in answers])
    assert np.abs(errors).max() <= 1.5 * stated_error(answers)


def test_the_stated_error_is_small_enough_to_mean_something(answers: list[Answer]) -> None:
    assert stated_error(answers) < 1.0
    gaps = np.concatenate([one.gaps() for one in answers])
    assert (gaps >= stated_error(answers)).mean() > 0.5


def test_the_model_answers(answers: list[Answer]) -> None:
    found = {one.text: one.answered for one in answers}
    assert "Paris" in found["The capital of France is"]
    assert (
        "planet of the solar system" in found[CHAT.format("What is the largest planet of the solar system?")]
    )
    assert "return" in found["def fibonacci(n):\n"]
