"""Makes default_model.npz: the default model's logits by Hugging Face Transformers. Run by hand, once:

    python -m venv v && v/bin/pip install torch==2.13.0 transformers==5.23.0 accelerate gguf
    v/bin/python tests/goldens/make_default_model.py SmolLM2-135M-Instruct.Q4_1.gguf

Transformers dequantises the file to float32 with readers of its own, so this checks ours as well. Stored are
`tokens` (random ones), `rows` (positions) and for each of these the `ids` and `logits` of the highest logits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

LENGTH = 72
STEP = 8
HIGHEST = 32


def main(file: Path) -> None:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    tokens = np.random.default_rng(0).integers(0, model.config.vocab_size, LENGTH).astype(np.int32)
    with torch.no_grad():
        logits = model(torch.tensor(tokens[None].astype(np.int64))).logits[0].numpy()
    rows = np.arange(0, LENGTH, STEP)
    ids = np.argsort(logits[rows], axis=-1)[:, ::-1][:, :HIGHEST].astype(np.int32)
    highest = np.take_along_axis(logits[rows], ids, axis=-1)
    out = Path(__file__).with_name("default_model.npz")
    np.savez_compressed(out, tokens=tokens, rows=rows, ids=ids, logits=highest)
    print(f"{out.name}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
