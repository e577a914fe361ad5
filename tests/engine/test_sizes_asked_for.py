"""Sizes that a user asks for: a share of the memory, a number of blocks, a context beyond the model's."""

from __future__ import annotations

from typing import Any

import pytest

from pagoda.engine.config import EngineConfig
from pagoda.engine.sizes import ConfigurationError, EngineSizes, choose_sizes, least_bytes
from pagoda.execute.base import BLOCK_SIZE

BLOCK_BYTES = 1000
WEIGHTS = 100_000


def sizes(available: int = 300_000, model_len: int = 4096, **settings: Any) -> EngineSizes:
    config = EngineConfig(model_path="x", **settings)
    return choose_sizes(config, model_len, BLOCK_BYTES, WEIGHTS, available)


def test_a_share_of_the_memory_is_for_weights_and_cache() -> None:
    assert sizes(memory_share=0.5).num_blocks == 50
    assert sizes(memory_share=1.0).num_blocks == 200
    assert sizes().num_blocks == 100, "by default half of what the weights leave"


def test_a_share_is_a_limit_and_not_a_wish() -> None:
    assert sizes(available=10**9, memory_share=0.9).num_blocks == sizes(available=10**9).num_blocks


def test_a_share_that_the_weights_exceed() -> None:
    with pytest.raises(ConfigurationError, match="weights need"):
        sizes(memory_share=0.3)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, float("nan")])
def test_what_is_no_share(share: float) -> None:
    with pytest.raises(ConfigurationError, match="gpu_memory_utilization"):
        sizes(memory_share=share)


def test_the_number_of_blocks_goes_before_everything() -> None:
    found = sizes(num_gpu_blocks_override=7, kv_cache_memory_bytes=50_000, memory_share=0.9)
    assert found.num_blocks == 7
    assert found.max_model_len == 7 * BLOCK_SIZE


def test_a_context_beyond_the_model_needs_to_be_allowed() -> None:
    with pytest.raises(ConfigurationError, match="own limit is 64"):
        sizes(model_len=64, max_model_len=128)
    found = sizes(model_len=64, max_model_len=128, allow_long_max_model_len=True)
    assert found.max_model_len == 128
    assert any("made for" in note for note in found.notes)


def test_what_must_be_free_grows_as_the_share_shrinks() -> None:
    config = EngineConfig(model_path="x", memory_share=0.5)
    needed = least_bytes(config, WEIGHTS, 50_000)
    assert needed == 300_000
    context = 50 * BLOCK_SIZE
    found = choose_sizes(config, context, BLOCK_BYTES, WEIGHTS, needed)
    assert found.max_model_len == context
