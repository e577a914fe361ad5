from __future__ import annotations

import pytest
from tests.text.vocabularies import byte_level_metadata, sentencepiece_metadata

from pagoda.text.gguf_tokenizer import tokenizer_from_gguf
from pagoda.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def byte_level() -> Tokenizer:
    return tokenizer_from_gguf(byte_level_metadata())


@pytest.fixture(scope="session")
def sentencepiece() -> Tokenizer:
    return tokenizer_from_gguf(sentencepiece_metadata())
