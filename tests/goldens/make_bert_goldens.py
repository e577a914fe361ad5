"""Makes the BERT checkpoints of this folder and their hidden states with Hugging Face Transformers. Run by
hand, once:

    python -m venv v && v/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors
    v/bin/python tests/goldens/make_bert_goldens.py

`bert` is a folder as sentence-transformers makes it (mean, normalised) with bfloat16 weights;
`bert_classifier` a cross-encoder with one label, float16 weights and the other GELU; `roberta_classifier` one
of XLM-RoBERTa, without a tokenizer. Weights are random from a seed. golden.npz holds `tokens` and `segments`
(prompts as rows padded with -1) and, computed in float32 with these weights, `states` (the last hidden states
of all tokens, one prompt after another) or `scores` (a row a prompt).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

HERE = Path(__file__).parent
SIZES = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 320,
    "initializer_range": 0.3,  # large, so that hidden states differ by units and errors show
    "attn_implementation": "eager",
}
LENGTHS = (1, 7, 33, 290)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TEXT = "the a an of to in is it on and cat dog sat mat bank river money stock market king queen"


def main() -> None:
    torch.set_num_threads(1)
    config = BertConfig(**SIZES)
    save(0, "bert", partial(BertModel, config, add_pooling_layer=False), torch.bfloat16)
    config = BertConfig(**SIZES, num_labels=1, hidden_act="gelu_new")
    save(1, "bert_classifier", partial(BertForSequenceClassification, config), torch.float16)
    sizes = {**SIZES, "max_position_embeddings": 322, "type_vocab_size": 1, "num_labels": 1}
    config = XLMRobertaConfig(**sizes)
    save(2, "roberta_classifier", partial(XLMRobertaForSequenceClassification, config), torch.float16)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (HERE / "bert" / "modules.json").write_text(json.dumps(modules, indent=1) + "\n")
    (HERE / "bert" / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
    (HERE / "bert" / "1_Pooling" / "config.json").write_text(json.dumps(pooling) + "\n")


def save(seed: int, name: str, make: Callable[[], torch.nn.Module], dtype: torch.dtype) -> None:
    torch.manual_seed(seed)
    model = make().eval().float()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if key.endswith(("LayerNorm.weight", ".bias")):  # not the ones and zeros of a new model
                weight.add_(0.3 * torch.randn_like(weight))
            weight.copy_(weight.to(dtype).float())
    folder, roberta = HERE / name, name.startswith("roberta")
    copy.deepcopy(model).to(dtype).save_pretrained(folder)
    tokens = np.full((len(LENGTHS), max(LENGTHS)), -1, np.int32)
    segments = tokens.copy()
    rng = np.random.default_rng(seed)
    found = []
    for row, length in enumerate(LENGTHS):
        tokens[row, :length] = rng.integers(2 if roberta else 0, SIZES["vocab_size"], length)  # 1 is padding
        segments[row, :length] = np.arange(length) >= length // 2 if row % 2 and not roberta else 0
        ids = torch.tensor(tokens[row : row + 1, :length].astype(np.int64))
        kinds = torch.tensor(segments[row : row + 1, :length].astype(np.int64))
        with torch.no_grad():
            output = model(ids, token_type_ids=kinds)
        found.append((output.logits if name.endswith("classifier") else output.last_hidden_state[0]).numpy())
    key = "scores" if name.endswith("classifier") else "states"
    stored = {key: np.concatenate(found).astype(np.float32)}
    np.savez_compressed(folder / "golden.npz", tokens=tokens, segments=segments, **stored)
    if not roberta:
        tokenizer().save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}\n')
    print(f"{name}: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()):,} bytes")


def tokenizer() -> Tokenizer:
    """WordPiece over single characters and a few words."""
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters if letter.isalnum()), *TEXT.split()]
    pieces = list(dict.fromkeys(pieces))
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    found = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer()
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.decoder = decoders.WordPiece()
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    found.add_special_tokens(list(SPECIAL))
    found.enable_truncation(128)  # as makers leave them in their files; they are not for serving
    found.enable_padding(length=128)
    return found


if __name__ == "__main__":
    main()
