"""From a model on disk to its tokenizer. Only the reader that is needed is imported, for a fast start."""

from __future__ import annotations

from pathlib import Path

from pagoda.text.tokenizer import Tokenizer
from pagoda.weights.checkpoint import CheckpointError


def load_tokenizer(model_path: Path) -> Tokenizer:
    """The tokenizer inside a GGUF file or of a model folder (tokenizer.json and the files beside it).

    Raises CheckpointError with one line where there is none or it cannot be used.
    """
    if model_path.is_dir():
        from pagoda.text.folder_tokenizer import tokenizer_from_folder

        return tokenizer_from_folder(model_path)
    if not model_path.exists():
        raise CheckpointError(f"{model_path} does not exist; give a GGUF file or a model folder.")
    from pagoda.text.gguf_tokenizer import tokenizer_from_gguf
    from pagoda.weights.gguf import GGUFFile

    file = GGUFFile.open(model_path)
    try:
        return tokenizer_from_gguf(file.metadata, source=str(model_path))
    finally:
        file.close()
