"""Makes minilm.npz: embeddings of the default embedding model by sentence-transformers. Run by hand, once:

    python -m venv v && v/bin/pip install torch==2.13.0 transformers==5.23.0 sentence-transformers==6.2.0
    v/bin/python tests/goldens/make_minilm.py FOLDER_OF_ALL_MINILM_L6_V2

Stored are `texts` and `embeddings` (float32, of length 1).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

TEXTS = (
    "Hello world",
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "How do I reset my password?",
    "I forgot my password; what can I do about it?",
    "The mitochondria is the powerhouse of the cell.",
    "SELECT name FROM users WHERE id = 7;",
    "Ünïcödé, naïve café - and emoji 🙂 too",
    "北京是中国的首都。",
    "3.14159 2.71828 1.41421",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "  leading, trailing   and\tinner\nwhite space  ",
    " ".join(["A sentence that goes on about rivers, banks, money and the weather in spring."] * 12),
    " ".join(f"word{index}" for index in range(60)),
)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    model = SentenceTransformer(str(folder), device="cpu")
    embeddings = model.encode(list(TEXTS), batch_size=1)
    out = Path(__file__).with_name("minilm.npz")
    np.savez_compressed(out, texts=np.array(TEXTS), embeddings=embeddings.astype(np.float32))
    print(f"{out.name}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
