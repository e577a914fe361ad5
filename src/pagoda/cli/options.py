"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import enum
import re
from typing import Annotated

import typer

_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_count(text: str) -> int:
    """A positive whole number, with vLLM's suffixes: 32k is 32,000 and 32K is 32,768.

    So are m, g, t and M, G, T. Raises typer.BadParameter.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgtKMGT]?)", text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} is not a number such as 4096, 32k (32,000) or 32K (32,768)")
    factor = (_DECIMAL | _BINARY).get(found[2], 1)
    value = float(found[1]) * factor
    if value < 1 or value != int(value):
        raise typer.BadParameter(f"{text!r} must come to a whole number of at least 1")
    return int(value)


class Quantization(enum.StrEnum):
    """How float weights are quantised while they are loaded."""

    INT8 = "int8"
    INT4 = "int4"


class InstructionSet(enum.StrEnum):
    """The highest instruction set the kernels may use."""

    PORTABLE = "portable"
    AVX2 = "avx2"
    AVX512 = "avx512"


class ExecutorName(enum.StrEnum):
    """What runs the model: the kernels, the slow float32 reference, or the script of a scripted model."""

    CPU = "cpu"
    REFERENCE = "reference"
    SCRIPTED = "scripted"


class DefaultSampling(enum.StrEnum):
    """Where sampling parameters come from that a request does not give."""

    AUTO = "auto"
    VLLM = "vllm"


ENGINE = "Engine"
SERVER = "Server"

MODEL_HELP = "A local folder, a GGUF file, a catalog name (see `pagoda list`) or a Hugging Face name."

MaxModelLen = Annotated[
    int | None,
    typer.Option(
        parser=parse_count,
        metavar="TOKENS",
        help="Longest prompt and answer together, such as 4096 or 32k. Default: what model and memory allow.",
        rich_help_panel=ENGINE,
    ),
]
QuantizationOption = Annotated[
    Quantization | None,
    typer.Option(
        "--quantization", "-q", help="Quantise float weights while loading.", rich_help_panel=ENGINE
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Threads of the engine. Default: the cores given to it.",
        rich_help_panel=ENGINE,
    ),
]
Isa = Annotated[
    InstructionSet | None,
    typer.Option(help="At most this instruction set. Default: the best there is.", rich_help_panel=ENGINE),
]
ExecutorOption = Annotated[
    ExecutorName,
    typer.Option(
        help="The kernels, the slow float32 reference in NumPy, or a script (for tests).",
        rich_help_panel=ENGINE,
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never use the network; fail if the model is not here.")
]
