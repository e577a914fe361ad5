"""The GGUF container against the gguf package, and against files that are broken in many ways."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.gguf import LONG_ARRAY, TENSOR_TYPES, GGUFFile

in_one_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
values = st.one_of(
    st.text(max_size=40),
    st.booleans(),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**31), -1),
    st.floats(width=32, allow_nan=False),
    st.lists(st.text(max_size=8), min_size=1, max_size=9),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=9),
)
SHAPES = st.lists(st.sampled_from([1, 3, 32, 64, 256]), min_size=1, max_size=3)


@in_one_folder
@given(metadata=st.dictionaries(names, values, max_size=6), shapes=st.dictionaries(names, SHAPES, max_size=5))
def test_reads_what_the_gguf_package_writes(
    metadata: dict[str, Any], shapes: dict[str, list[int]], tmp_path: Path
) -> None:
    path = tmp_path / "written.gguf"
    path.unlink(missing_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    metadata = {"x." + key: value for key, value in metadata.items()}
    for key, value in metadata.items():
        kind = gguf.GGUFValueType.get_type(value)
        if kind is gguf.GGUFValueType.INT32 and value > 2**31 - 1:
            kind = gguf.GGUFValueType.UINT32
        sub_type = gguf.GGUFValueType.get_type(value[0]) if isinstance(value, list) else None
        writer.add_key_value(key, value, kind, sub_type)
    rng = np.random.default_rng(0)
    written = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name, tensor in written.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = GGUFFile.open(path)
    assert dict(file.metadata) == {"general.architecture": "llama", **metadata}
    assert list(file.tensors) == list(written)
    for name, tensor in written.items():
        info = file.tensors[name]
        # The package's writer drops no dimension, so shapes are equal.
        assert (info.shape, info.type.name) == (tensor.shape, "F32")
        assert file.bytes_of(info).tobytes() == tensor.tobytes()


def test_types_are_those_of_the_gguf_package() -> None:
    for kind, (block, nbytes) in gguf.GGML_QUANT_SIZES.items():
        if int(kind) in TENSOR_TYPES:
            ours = TENSOR_TYPES[int(kind)]
            assert (ours.name, ours.block, ours.nbytes) == (kind.name, block, nbytes)
    common = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K")
    assert {int(gguf.GGMLQuantizationType[name]) for name in common} <= set(TENSOR_TYPES)


def text(value: str | bytes) -> bytes:
    encoded = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(encoded)) + encoded


def pair(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def number(value: int) -> bytes:
    return struct.pack("<I", value)


def info(name: str, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def file_bytes(
    pairs: list[bytes] | None = None,
    infos: list[bytes] | None = None,
    data: bytes = b"",
    *,
    version: bytes = b"\3\0\0\0",
    pair_count: int | None = None,
    tensor_count: int | None = None,
) -> bytes:
    pairs, infos = pairs or [], infos or []
    counts = struct.pack(
        "<QQ",
        len(infos) if tensor_count is None else tensor_count,
        len(pairs) if pair_count is None else pair_count,
    )
    header = b"GGUF" + version + counts + b"".join(pairs) + b"".join(infos)
    return header + b"\0" * (-len(header) % 32) + data


def array(kind: int, count: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + data


HUGE = 2**64 - 1
BROKEN = {
    "empty": (b"", "is not a GGUF file"),
    "another magic": (b"GGML" + file_bytes()[4:], "is not a GGUF file"),
    "magic alone": (b"GGUF", "cut short"),
    "half a header": (file_bytes()[:20], "cut short"),
    "version 1": (file_bytes(version=b"\1\0\0\0"), "version 1"),
    "version 4": (file_bytes(version=b"\4\0\0\0"), "version 4"),
    "big-endian": (file_bytes(version=b"\0\0\0\3"), "big-endian"),
    "too many pairs": (file_bytes(pair_count=HUGE), "key-value pairs"),
    "too many tensors": (file_bytes(tensor_count=HUGE), "tensors"),
    "a pair more": (file_bytes([pair("a", 4, number(1))], pair_count=2), "1 to 65535 bytes"),
    "endless key": (file_bytes([struct.pack("<Q", HUGE) + b"k" * 20]), "cut short"),
    "long key": (file_bytes([pair("k" * 70000, 4, number(1))]), "1 to 65535 bytes"),
    "empty key": (file_bytes([pair("", 4, number(1))]), "1 to 65535 bytes"),
    "key of no UTF-8": (file_bytes([pair(b"\xff\xfe", 4, number(1))]), "not UTF-8"),
    "key twice": (file_bytes([pair("a", 4, number(1)), pair("a", 4, number(2))]), "twice"),
    "unknown value type": (file_bytes([pair("a", 13, number(1))]), "unknown type 13"),
    "unknown array type": (file_bytes([pair("a", 9, array(99, 1, b"x"))]), "unknown type 99"),
    "array of arrays": (file_bytes([pair("a", 9, array(9, 1, array(4, 0)))]), "unknown type 9"),
    "boolean 2": (file_bytes([pair("a", 7, b"\2")]), "neither true nor false"),
    "booleans 2": (file_bytes([pair("a", 9, array(7, 2, b"\1\2"))]), "neither true nor false"),
    "endless string": (file_bytes([pair("a", 8, struct.pack("<Q", HUGE))]), "cut short"),
    "string of no UTF-8": (file_bytes([pair("a", 8, text(b"\xc3\x28"))]), "not UTF-8"),
    "endless numbers": (file_bytes([pair("a", 9, array(5, HUGE))]), "values for 'a'"),
    "endless strings": (file_bytes([pair("a", 9, array(8, HUGE))]), "strings for 'a'"),
    "2^40 bytes": (file_bytes([pair("a", 9, array(0, 2**40))]), "values for 'a'"),
    "strings past the end": (
        file_bytes([pair("a", 9, array(8, 2, text("b") + struct.pack("<Q", 999)))]),
        "past the end",
    ),
    "strings of no UTF-8": (
        file_bytes([pair("a", 9, array(8, 2, text("b") + text(b"\xff")))]),
        "string 1 of 'a'",
    ),
    "alignment 0": (file_bytes([pair("general.alignment", 4, number(0))]), "general.alignment"),
    "alignment 24": (file_bytes([pair("general.alignment", 4, number(24))]), "general.alignment"),
    "alignment text": (file_bytes([pair("general.alignment", 8, text("32"))]), "general.alignment"),
    "no dimensions": (file_bytes([], [info("t", [])], b"\0" * 32), "0 dimensions"),
    "many dimensions": (file_bytes([], [info("t", [1] * 9)], b"\0" * 32), "9 dimensions"),
    "size 0": (file_bytes([], [info("t", [4, 0])], b"\0" * 32), "malformed"),
    "sizes that overflow": (file_bytes([], [info("t", [2**62, 2**62, 2**62])], b"\0" * 32), "cut short"),
    "offset that overflows": (file_bytes([], [info("t", [8], offset=2**64 - 32)], b"\0" * 32), "cut short"),
    "offset off the alignment": (file_bytes([], [info("t", [4], offset=4)], b"\0" * 32), "malformed"),
    "row of half a block": (file_bytes([], [info("t", [48], kind=8)], b"\0" * 64), "malformed"),
    "unknown tensor type": (file_bytes([], [info("t", [4], kind=4)], b"\0" * 32), "unknown type 4"),
    "tensor twice": (file_bytes([], [info("t", [4]), info("t", [4], offset=32)], b"\0" * 64), "twice"),
    "tensors that overlap": (
        file_bytes([], [info("t", [16]), info("u", [4], offset=32)], b"\0" * 64),
        "overlap",
    ),
    "no data": (file_bytes([], [info("t", [8])]), r"is 64 bytes but its header needs 96"),
    "data cut short": (file_bytes([], [info("t", [8])], b"\0" * 31), r"is 95 bytes but its header needs 96"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_clear_line(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        GGUFFile.open(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_builder_of_broken_files_can_build_whole_ones(tmp_path: Path) -> None:
    long = np.arange(LONG_ARRAY + 1, dtype="<i4")
    pairs = [
        pair("a", 4, number(7)),
        pair("long", 9, array(5, len(long), long.tobytes())),
        pair("short", 9, array(7, 2, b"\0\1")),
        pair("none", 9, array(8, 0)),
        pair("wide", 10, struct.pack("<Q", HUGE)),
        pair("double", 12, struct.pack("<d", 0.1)),
        pair("general.alignment", 4, number(64)),
    ]
    content = file_bytes(pairs, [info("t", [2, 3])], b"")
    content += b"\0" * (-len(content) % 64) + np.arange(6, dtype="<f4").tobytes()
    path = tmp_path / "whole.gguf"
    for version in (2, 3):
        path.write_bytes(content[:4] + number(version) + content[8:])
        file = GGUFFile.open(path)
        assert file.version == version
        assert isinstance(file.metadata["long"], np.ndarray)
        np.testing.assert_array_equal(file.metadata["long"], long)
        rest = {key: value for key, value in file.metadata.items() if key != "long"}
        assert rest == {
            "a": 7, "short": [False, True], "none": [], "wide": HUGE, "double": 0.1, "general.alignment": 64
        }  # fmt: skip
        assert file.tensors["t"].shape == (3, 2)
        assert file.bytes_of(file.tensors["t"]).view("<f4").tolist() == [0, 1, 2, 3, 4, 5]


def test_a_folder_and_a_missing_file_are_one_clear_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.gguf"):
        with pytest.raises(CheckpointError, match="cannot read"):
            GGUFFile.open(path)


def test_views_outlive_closing_and_new_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.gguf"
    path.write_bytes(file_bytes([], [info("t", [8])], bytes(range(32))))
    file = GGUFFile.open(path)
    view = file.bytes_of(file.tensors["t"])
    assert not view.flags.writeable
    file.close()
    assert view.tolist() == list(range(32))
    with pytest.raises(CheckpointError, match="has been closed"):
        file.bytes_of(file.tensors["t"])
