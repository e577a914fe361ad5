"""BERT's config.json as ModelConfig, and RoBERTa's, which is BERT with other names and positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import MAX_SIZE, CheckpointError, check_config
from pagoda.weights.json_fields import Fields, first_id

_FAMILIES = ("Bert", "Roberta", "XLMRoberta")
_ROBERTA = ("Roberta", "XLMRoberta")
_CLASSIFIER = "ForSequenceClassification"
#: `architectures` of config.json -> the name of a program builder
BERT_ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {family + kind: "bert" for family in _FAMILIES for kind in ("Model", "ForMaskedLM", _CLASSIFIER)}
)
POSITIONS = "embeddings.position_embeddings.weight"
_ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}


def bert_config(fields: Fields, architectures: Sequence[str]) -> ModelConfig:
    """Raises CheckpointError for what cannot be used."""
    path = fields.path
    hidden, heads = fields.get("hidden_size", int), fields.get("num_attention_heads", int)
    if heads < 1 or hidden % heads:
        raise CheckpointError(f"{path}: a hidden size of {hidden} cannot be shared by {heads} heads")
    activation = fields.get("hidden_act", str, "gelu")
    if activation not in _ACTIVATIONS:
        raise CheckpointError(
            f"{path}: activation {activation!r} is not supported ({', '.join(_ACTIVATIONS)} are)"
        )
    kind = fields.get("position_embedding_type", str, "absolute")
    if kind != "absolute":
        raise CheckpointError(f"{path}: position embeddings of type {kind!r} are not supported")
    vocab_size = fields.get("vocab_size", int)
    name = next(name for name in architectures if name in BERT_ARCHITECTURES)
    # RoBERTa counts positions from the one after that of padding.
    offset = fields.get("pad_token_id", int, 1) + 1 if name.startswith(_ROBERTA) else 0
    if not 0 <= offset < MAX_SIZE:
        raise CheckpointError(f"{path}: pad_token_id is {offset - 1:,}, which cannot be right")
    found = ModelConfig(
        architecture="bert",
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=fields.get("intermediate_size", int),
        num_hidden_layers=fields.get("num_hidden_layers", int),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=hidden // heads,
        rms_norm_eps=0.0,
        rope_theta=10000.0,
        max_position_embeddings=fields.get("max_position_embeddings", int) - offset,
        tie_word_embeddings=True,
        layer_norm_eps=fields.get("layer_norm_eps", float, 1e-12),
        type_vocab_size=fields.get("type_vocab_size", int, 2),
        hidden_act=_ACTIVATIONS[activation],
        position_offset=offset,
        num_labels=_labels(fields) if name.endswith(_CLASSIFIER) else 0,
        pad_token_id=first_id(fields.values.get("pad_token_id"), vocab_size),
    )
    check_config(found, path)
    return found


def weight_name(name: str) -> str:
    """A tensor's name as BertModel has it, whatever model around it was saved, and by today's spelling."""
    name = name.removeprefix("bert.").removeprefix("roberta.")
    for old, new in ((".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    for old, new in (("classifier.dense.", "pooler.dense."), ("classifier.out_proj.", "classifier.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _labels(fields: Fields) -> int:
    names = fields.values.get("id2label")
    if isinstance(names, dict) and names:
        return len(names)
    return fields.get("num_labels", int, 2)
