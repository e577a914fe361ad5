"""An engine process with the toy executor, which some prompts kill and others keep busy for ever."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import numpy.typing as npt
from tests.engine.toy import DEADLY, DEADLY_LENGTH, STUCK, ToyExecutor, toy_engine

from pagoda.engine import process
from pagoda.engine.config import EngineConfig
from pagoda.engine.core import EngineCore
from pagoda.engine.loading import Progress
from pagoda.execute.base import BLOCK_SIZE, StepBatch


class FragileExecutor(ToyExecutor):
    def step(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        logits = super().step(batch)
        for table, end in zip(batch.block_tables, batch.context_lens, strict=True):
            first = self._cache[table[0] * BLOCK_SIZE]
            if end >= DEADLY_LENGTH and first == DEADLY:
                os.abort()
            if first == STUCK:
                print(os.getpid(), flush=True)
                while True:
                    signal.pause()
        return logits


def make_core(config: EngineConfig, progress: Progress) -> EngineCore:
    return toy_engine(num_blocks=256, make_executor=FragileExecutor)[0]


if __name__ == "__main__":
    sys.exit(process.main(sys.argv[1:], make_core))
