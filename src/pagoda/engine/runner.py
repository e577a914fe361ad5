"""What an engine is for: generating text, or making vectors of it."""

from __future__ import annotations

from pathlib import Path

from pagoda.engine.config import EngineConfig
from pagoda.engine.sizes import ConfigurationError
from pagoda.models import ENCODERS, Purpose
from pagoda.weights.hf_config import ARCHITECTURES
from pagoda.weights.json_fields import read_json
from pagoda.weights.sentence_transformers import has_modules

RUNNERS = ("auto", "generate", "pooling")


def purpose_of(config: EngineConfig) -> Purpose:
    """What config.runner asks for; "auto" goes by the model's files: encoders, models without an output for
    tokens and folders of sentence-transformers make vectors. Raises ConfigurationError.
    """
    if config.runner not in RUNNERS:
        raise ConfigurationError(f"unknown runner {config.runner!r}; use {', '.join(RUNNERS)}.")
    if config.executor == "scripted":
        return "generate"
    path = Path(config.model_path)
    names: list[str] = []
    if (path / "config.json").is_file():
        listed = read_json(path / "config.json").get("architectures")
        names = [str(name) for name in listed] if isinstance(listed, list) else []
    encoder = any(ARCHITECTURES.get(name) in ENCODERS for name in names)
    if config.runner == "generate" and encoder:
        raise ConfigurationError(
            f"{names[0]} does not generate text: leave out --runner generate, and use it for embeddings."
        )
    if config.runner != "auto":
        return "pooling" if config.runner == "pooling" else "generate"
    headless = any(name.endswith("Model") for name in names)
    return "pooling" if encoder or headless or has_modules(path) else "generate"
