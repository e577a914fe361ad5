"""GGUF's tensors in the project's terms: Hugging Face names, formats, and the order of rotary rows."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from pagoda.weights.gguf import TensorInfo
from pagoda.weights.tensor import GROUP, Format, Tensor

FORMATS = {
    "F32": Format.F32,
    "F16": Format.F16,
    "BF16": Format.BF16,
    "Q8_0": Format.INT8,
    "Q4_0": Format.INT4,
    "Q4_1": Format.INT4_OFFSET,
}

_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER_NAME = re.compile(r"blk\.(0|[1-9][0-9]*)\.([a-z_]+)\.(weight|bias)", re.ASCII)


def hugging_face_name(name: str) -> str:
    """Hugging Face's name of a GGUF tensor; names with no counterpart stay as they are."""
    if name in _WHOLE:
        return _WHOLE[name]
    match = _LAYER_NAME.fullmatch(name)
    if match is None or match[2] not in _LAYER:
        return name
    return f"model.layers.{match[1]}.{_LAYER[match[2]]}.{match[3]}"


def as_tensor(name: str, info: TensorInfo, data: npt.NDArray[np.uint8]) -> Tensor:
    """The tensor as views of its bytes; `info.type` must be one of FORMATS."""
    kind = FORMATS[info.type.name]
    if not kind.quantised:
        dtype = {Format.F32: "<f4", Format.F16: "<f2", Format.BF16: "<u2"}[kind]
        return Tensor(name, kind, info.shape, data.view(dtype).reshape(info.shape))
    # A block: float16 scale, for Q4_1 float16 offset, then the quantised values.
    blocks = data.reshape(*info.shape[:-1], info.shape[-1] // GROUP, info.type.nbytes)
    if kind is Format.INT8:
        return Tensor(name, kind, info.shape, blocks[..., 2:].view(np.int8), _halves(blocks, 0))
    if kind is Format.INT4:
        return Tensor(name, kind, info.shape, blocks[..., 2:], _halves(blocks, 0))
    return Tensor(name, kind, info.shape, blocks[..., 4:], _halves(blocks, 0), _halves(blocks, 2))


def _halves(blocks: npt.NDArray[np.uint8], at: int) -> npt.NDArray[np.float16]:
    return blocks[..., at : at + 2].view("<f2")[..., 0]


def rows_of_neighbour_pairs(data: npt.NDArray[np.uint8], heads: int, rows: int) -> npt.NDArray[np.uint8]:
    """Puts rows that pair neighbours (2 i, 2 i + 1) for the rotary embedding back to (i, i + head_dim / 2).

    GGUF's llama files store the rows of q and k (and their biases) so; `data` is the tensor's bytes, of which
    a row is a whole number. Returns a copy: the values of a row are not touched.
    """
    row_bytes = data.size // rows
    pairs = data.reshape(heads, rows // heads // 2, 2, row_bytes)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(-1)
