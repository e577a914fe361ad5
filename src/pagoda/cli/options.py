"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from pagoda.cli.flags.values import read_count


def parse_count(text: str) -> int:
    """A positive whole number such as 4096, 32k or 32K (see `read_count`). Raises typer.BadParameter."""
    try:
        return read_count(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


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
