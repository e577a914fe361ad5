"""Makes the checkpoints and logits of this folder with Hugging Face Transformers. Run by hand, once:

    python -m venv v && v/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors
    v/bin/python tests/goldens/make_goldens.py

Each folder is a tiny model with random bfloat16 weights from a seed: config.json and model.safetensors as
Transformers saves them, and golden.npz with `tokens` (prompts as rows padded with -1) and `logits`: computed
in float32 with these weights, after the tokens that `kept_rows` names, one prompt after another.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

HERE = Path(__file__).parent
SIZES = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,  # large, so that logits differ by units and errors show
    "bos_token_id": 0,
    "eos_token_id": [1, 2],
    "attn_implementation": "eager",
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig, {"num_hidden_layers": 3}),
    "llama_rope3": (LlamaForCausalLM, LlamaConfig, {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "llama_linear_bias": (
        LlamaForCausalLM,
        LlamaConfig,
        {"rope_parameters": LINEAR, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": True}),
    "qwen2_yarn": (Qwen2ForCausalLM, Qwen2Config, {"rope_parameters": YARN, "tie_word_embeddings": True}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 32}),
}
LENGTHS = (1, 7, 33, 80)
KEPT = 8  # logits are stored after every KEPT-th token and the last, to keep the files small


def main() -> None:
    torch.set_num_threads(1)
    for number, (name, (model_class, config_class, changes)) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        model = model_class(config_class(**{**SIZES, **changes})).eval().float()
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if key.endswith(("norm.weight", ".bias")):  # not the ones and zeros of a new model
                    weight.add_(0.3 * torch.randn_like(weight))
                weight.copy_(weight.bfloat16().float())
        folder = HERE / name
        copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
        tokens = np.full((len(LENGTHS), max(LENGTHS)), -1, np.int32)
        rows = []
        rng = np.random.default_rng(number)
        for row, length in enumerate(LENGTHS):
            tokens[row, :length] = rng.integers(0, SIZES["vocab_size"], length)
            with torch.no_grad():
                logits = model(torch.tensor(tokens[row : row + 1, :length].astype(np.int64))).logits[0]
            kept = kept_rows(length)
            rows.append(logits[kept].numpy().astype(np.float32))
        np.savez_compressed(folder / "golden.npz", tokens=tokens, logits=np.concatenate(rows))
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: {size:,} bytes, rope {model.config.rope_parameters}")


def kept_rows(length: int) -> list[int]:
    """The tokens of a prompt after which logits are stored."""
    return sorted({*range(0, length, KEPT), length - 1})


if __name__ == "__main__":
    main()
