"""Writes smollm.json: texts with their tokens by llama.cpp, for the default model's vocabulary.

usage: make_smollm.py MODEL.gguf      (needs the package llama-cpp-python)
"""

import json
import random
import sys
from pathlib import Path

from llama_cpp import Llama

WRITTEN = [
    "Hello, world!",
    "In 2026 there were 1,234,567.89 of them; 3 of 10 failed.",
    "def area(r):\n\treturn 3.14159 * r**2\n\n\nprint(area(10))",
    "don't I'll WE'RE he'd it's",
    "    7. A list item\n   15. Another\n\n\n",
    "你好，世界。今天是2026年。",
    "😀 👩‍👩‍👧 flags 🇩🇪",
    "naïve cafe\u0301 Grüße ßж 한국어",
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
    "trailing spaces   ",
    "\t\ttabs\r\nand returns\r\n",
    "x" * 50 + " " * 40 + "y",
    "",
]
PIECES = [
    "the",
    " cat",
    "0",
    "7",
    " 42",
    "  ",
    "\n",
    "\t",
    ".",
    "’s",
    "'t",
    "你",
    "😀",
    "é",
    "<|im_end|>",
    "_",
    "A",
]

model = Llama(sys.argv[1], vocab_only=True, verbose=False)
draw = random.Random(0)
texts = WRITTEN + ["".join(draw.choice(PIECES) for _ in range(draw.randrange(1, 16))) for _ in range(60)]
vectors = [
    {"text": text, "ids": model.tokenize(text.encode(), add_bos=False, special=True)} for text in texts
]
file = Path(__file__).with_name("smollm.json")
file.write_text(
    "[\n" + ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors) + "\n]\n", "utf-8"
)
