"""An engine process with the toy executor, which a prompt that begins with DEADLY kills after some tokens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import numpy.typing as npt
from tests.engine.toy import DEADLY, DEADLY_LENGTH, ToyExecutor, toy_engine

from pagoda.engine import process
from pagoda.engine.config import EngineConfig
from pagoda.engine.core import EngineCore
from pagoda.engine.loading import Progress
from pagoda.execute.base import BLOCK_SIZE, StepBatch


class FragileExecutor(ToyExecutor):
    def step(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        logits = super().step(batch)
        for table, end in zip(batch.block_tables, batch.context_lens, strict=True):
            if end >= DEADLY_LENGTH and self._cache[table[0] * BLOCK_SIZE] == DEADLY:
                os.abort()
        return logits


def make_core(config: EngineConfig, progress: Progress) -> EngineCore:
    return toy_engine(num_blocks=256, make_executor=FragileExecutor)[0]


if __name__ == "__main__":
    sys.exit(process.main(sys.argv[1:], make_core))
