"""Writes sentencepiece.json: a small SentencePiece BPE vocabulary and encodings of texts by the original
library.

usage: make_sentencepiece.py TEXT_FILE...      (needs the package sentencepiece; any English prose will do)
"""

import io
import json
import sys
from pathlib import Path

import sentencepiece

TEXTS = [
    "Hello world",
    "The engine reads the pages of the cache.",
    "  two  leading spaces and   three",
    "numbers 12345 and 3.14, (brackets) [and] {more}",
    "unknown 你好 😀 characters",
    "new\nlines\n\nand\ttabs",
    "naïve café",
    "x",
    " ",
    "",
    "the the the",
    "aaaaaaaaaaaa",
]
TYPES = {"is_unknown": 2, "is_control": 3, "is_unused": 5, "is_byte": 6}

model = io.BytesIO()
sentences = (
    line for file in sys.argv[1:] for line in Path(file).read_text("utf-8").splitlines() if line.strip()
)
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=sentences,
    model_writer=model,
    vocab_size=700,
    model_type="bpe",
    byte_fallback=True,
    character_coverage=0.995,
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    split_digits=True,
    allow_whitespace_only_pieces=True,
    minloglevel=2,
)
oracle = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
ids = range(oracle.vocab_size())
kinds = [next((kind for check, kind in TYPES.items() if getattr(oracle, check)(i)), 1) for i in ids]
content = {
    "tokens": [oracle.id_to_piece(i) for i in ids],
    "scores": [oracle.get_score(i) for i in ids],
    "token_type": kinds,
    "unknown_token_id": oracle.unk_id(),
    "bos_token_id": oracle.bos_id(),
    "eos_token_id": oracle.eos_id(),
    "vectors": [
        {"text": text, "ids": oracle.encode(text), "decoded": oracle.decode(oracle.encode(text))}
        for text in TEXTS
    ],
}
Path(__file__).with_name("sentencepiece.json").write_text(
    json.dumps(content, ensure_ascii=False) + "\n", "utf-8"
)
