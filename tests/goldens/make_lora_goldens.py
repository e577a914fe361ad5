"""Makes the adapters and logits of lora/ with PEFT, on the checkpoints of this folder. Run by hand, once:

    python -m venv v && v/bin/pip install torch==2.13.0 transformers==5.23.0 peft==0.21.2
    v/bin/python tests/goldens/make_lora_goldens.py

Each folder is an adapter with random float32 weights from a seed, as PEFT saves it, and golden.npz with
`tokens` (a prompt) and `logits` after each of them: computed in float32 with the adapter beside its base, not
merged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama", {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "down_proj"]}),
    "patterns": (
        "qwen3",
        {
            "r": 4,
            "lora_alpha": 8,
            "use_rslora": True,
            "target_modules": ["k_proj", "o_proj", "gate_proj", "embed_tokens", "lm_head"],
            "rank_pattern": {"layers.1.self_attn.o_proj": 8, "embed_tokens": 2},
            "alpha_pattern": {"gate_proj": 3},
        },
    ),
}
LENGTH = 40


def main() -> None:
    torch.set_num_threads(1)
    for number, (name, (base, settings)) in enumerate(ADAPTERS.items()):
        torch.manual_seed(number)
        model = AutoModelForCausalLM.from_pretrained(HERE / base, dtype=torch.float32)
        before = model.eval()
        tokens = torch.randint(0, model.config.vocab_size, (1, LENGTH))
        with torch.no_grad():
            without = before(tokens).logits[0]
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
        with torch.no_grad():
            for key, weight in adapted.named_parameters():
                if "lora_" in key:
                    weight.copy_(0.15 * torch.randn_like(weight))
            logits = adapted(tokens).logits[0]
        folder = HERE / "lora" / name
        adapted.peft_config["default"].base_model_name_or_path = base
        adapted.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        np.savez_compressed(
            folder / "golden.npz", tokens=tokens[0].numpy().astype(np.int32), logits=logits.numpy()
        )
        (folder / "adapter_model.safetensors").chmod(0o644)
        moved = (logits - without).abs().max().item()
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: {size:,} bytes, logits moved by up to {moved:.2f} of {logits.abs().max():.2f}")


if __name__ == "__main__":
    main()
