"""The two functions of the guides, unmodified, through a whole chat; they are not part of the package."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.workspace.conftest import open_house
from tests.workspace.functions_support import add, answer, statuses, text

GIVEN = Path(os.environ.get("PAGODA_GIVEN_FUNCTIONS", Path(__file__).parents[3] / "shared" / "functions"))

pytestmark = pytest.mark.skipif(not GIVEN.is_dir(), reason="needs the two functions of the guides")


class WordTokens:
    """A tokenizer whose tokens are words."""

    def encode(self, _model: str | None, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def decode(self, _model: str | None, tokens: Sequence[int]) -> str:
        return " ".join("x" * each for each in tokens)

    def size(self, _model: str | None) -> int:
        return 100


async def test_the_tracker_counts_with_the_served_models_tokenizer(tmp_path: Path) -> None:
    said = ["one two ", "three"]
    async with (
        open_house(tmp_path, lambda _body: said, tokens=WordTokens()) as house,
        house.signed_in() as ada,
    ):
        await add(ada, (GIVEN / "time_token_tracker.py").read_text(), "time_token_tracker")
        last = await answer(ada, "How many words are these")
        [told] = statuses(last)
        assert re.match(r"\d+\.\d\ds \| 输入: 5 \(Ø 5\.00\) \| 输出: 3 \(Ø 3\.00\) \| [\d.]+ T/s", told), told
        assert text(last) == "one two three"


async def test_the_beautifier_rewrites_the_answer(tmp_path: Path) -> None:
    said = ["Let me see.", "\n\n**Final Answer**\n\n", "42"]
    async with open_house(tmp_path, lambda _body: said) as house, house.signed_in() as ada:
        await add(ada, (GIVEN / "output_beautifier.py").read_text(), "output_beautifier")
        last = await answer(ada)
        assert text(last) == "\n\n#### Thought:\n> Let me see.\n\n#### Output:\n42\n"
        stored = (await ada.get(f"/api/chats/{last['message']['chat_id']}/messages")).json()["messages"]
        assert stored[-1]["parts"] == last["message"]["parts"]


async def test_both_at_once(tmp_path: Path) -> None:
    said = ["Hm.\n\n**Final Answer**\n\n42"]
    async with open_house(tmp_path, lambda _body: said) as house, house.signed_in() as ada:
        for name in ("time_token_tracker", "output_beautifier"):
            await add(ada, (GIVEN / f"{name}.py").read_text(), name)
        last = await answer(ada)
        assert text(last).startswith("\n\n#### Thought:")
        assert len(statuses(last)) == 1
