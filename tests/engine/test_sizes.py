from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagoda.engine.config import EngineConfig
from pagoda.engine.memory import available_bytes, oom_kills
from pagoda.engine.sizes import ConfigurationError, EngineSizes, choose_sizes
from pagoda.execute.base import BLOCK_SIZE

BLOCK_BYTES = 1000
GB = 10**9


def sizes(available: int | None, *, model_len: int = 4096, weights: int = 0, **settings: int) -> EngineSizes:
    return choose_sizes(EngineConfig(model_path="m", **settings), model_len, BLOCK_BYTES, weights, available)


def test_a_handful_of_contexts_when_there_is_room() -> None:
    chosen = sizes(100 * GB, model_len=100_000)
    assert chosen.max_model_len == 100_000
    assert chosen.num_blocks == 4 * 3125
    assert chosen.notes == ()


def test_no_more_than_the_running_requests_can_use() -> None:
    assert sizes(100 * GB, model_len=320, max_num_seqs=3).num_blocks == 3 * 10


def test_the_context_shrinks_to_what_fits_and_says_so() -> None:
    chosen = sizes(weights=GB, available=GB + 100 * BLOCK_BYTES)
    assert chosen.num_blocks == 50
    assert chosen.max_model_len == 50 * BLOCK_SIZE
    (note,) = chosen.notes
    assert "1,600 tokens instead of the model's 4,096" in note


def test_a_context_asked_for_that_does_not_fit_is_an_error_with_the_numbers() -> None:
    with pytest.raises(
        ConfigurationError, match=r"max_model_len 4,000 needs .*0\.12 MB.*lower max_model_len to 1,600"
    ):
        sizes(100 * BLOCK_BYTES, max_model_len=4000)


def test_a_context_longer_than_the_model_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="the model's own limit is 4,096"):
        sizes(GB, max_model_len=5000)


def test_cache_memory_is_taken_at_its_word() -> None:
    assert sizes(10, kv_cache_memory_bytes=7 * BLOCK_BYTES).num_blocks == 7
    with pytest.raises(ConfigurationError, match="cache needs at least"):
        sizes(GB, kv_cache_memory_bytes=BLOCK_BYTES - 1)


def test_weights_that_do_not_fit() -> None:
    with pytest.raises(
        ConfigurationError, match=r"weights need 2\.00 GB of memory and 1\.00 GB are available"
    ):
        sizes(GB, weights=2 * GB)


def test_fewer_requests_when_a_step_is_small() -> None:
    chosen = sizes(GB, max_num_batched_tokens=10)
    assert (chosen.max_num_seqs, chosen.max_num_batched_tokens) == (10, 10)
    assert "At most 10 requests" in chosen.notes[0]


@pytest.mark.parametrize("name", ["max_model_len", "max_num_seqs", "max_num_batched_tokens", "num_threads"])
def test_numbers_below_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be at least 1, got 0"):
        sizes(GB, **{name: 0})


@given(
    available=st.none() | st.integers(0, 10**12),
    weights=st.integers(0, 10**11),
    model_len=st.integers(1, 10**6),
    max_model_len=st.none() | st.integers(1, 10**6),
    max_num_seqs=st.integers(1, 500),
    max_num_batched_tokens=st.none() | st.integers(1, 5000),
    memory=st.none() | st.integers(1, 10**12),
)
def test_a_full_context_always_fits(
    available: int | None,
    weights: int,
    model_len: int,
    max_model_len: int | None,
    max_num_seqs: int,
    max_num_batched_tokens: int | None,
    memory: int | None,
) -> None:
    config = EngineConfig(
        model_path="m",
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        kv_cache_memory_bytes=memory,
    )
    try:
        chosen = choose_sizes(config, model_len, BLOCK_BYTES, weights, available)
    except ConfigurationError:
        return
    most = min(model_len, max_model_len or model_len, chosen.num_blocks * BLOCK_SIZE)
    assert 1 <= chosen.max_model_len <= most
    assert chosen.max_num_seqs <= chosen.max_num_batched_tokens
    if memory is not None:
        assert chosen.num_blocks * BLOCK_BYTES <= memory
    elif available is not None:
        assert weights + chosen.num_blocks * BLOCK_BYTES <= available


def machine(root: Path, available_kb: int, cgroup: str, files: dict[str, str]) -> Path:
    for name, text in {
        "proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable:   {available_kb} kB\n",
        "proc/self/cgroup": cgroup,
        **files,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


class TestAvailableMemory:
    def test_of_the_machine(self, tmp_path: Path) -> None:
        assert available_bytes(machine(tmp_path, 1000, "0::/\n", {})) == 1000 * 1024

    def test_cgroup_v2_counts_every_level_and_not_the_page_cache(self, tmp_path: Path) -> None:
        files = {
            "sys/fs/cgroup/a/memory.max": "5000",
            "sys/fs/cgroup/a/memory.current": "3000",
            "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 700\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/b/memory.current": "2000",
        }
        assert available_bytes(machine(tmp_path, 1000, "0::/a/b\n", files)) == 2700

    def test_cgroup_v1_at_the_mount_of_a_container(self, tmp_path: Path) -> None:
        files = {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9000",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "8000",
        }
        root = machine(tmp_path, 1000, "5:cpu:/x\n4:memory:/docker/123\n", files)
        assert available_bytes(root) == 1000

    def test_more_used_than_allowed_is_nothing_left(self, tmp_path: Path) -> None:
        files = {"sys/fs/cgroup/memory.max": "10", "sys/fs/cgroup/memory.current": "20"}
        assert available_bytes(machine(tmp_path, 1000, "0::/\n", files)) == 0

    def test_unknown_where_nothing_can_be_read(self, tmp_path: Path) -> None:
        assert available_bytes(tmp_path) is None
        assert oom_kills(tmp_path) is None

    def test_of_this_machine(self) -> None:
        available = available_bytes()
        assert available is not None
        assert available > 0
