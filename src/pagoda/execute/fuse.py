"""The fusion pass: a program becomes the few operations a layer that the CPU executor runs.

    norm, q, k and v products      head norms, rotary embedding, cache, attention
    output product, residual add   norm, gate and up products, silu(gate) * up    down product, residual add

and of an encoder, whose norms stand after the sums and change what is added to:

    q, k and v products   cache, attention   output product, add   norm   product, gelu   product, add   norm

The pass follows the values, not the order of lines: a norm is carried to the products that read it, an `Add`
back into the product that made its operand, so that neither costs a pass over memory or a barrier. After the
last attention rows no longer meet, so from there on only those run whose results are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from pagoda.models.program import (
    Activation,
    ActivationKind,
    Add,
    Attention,
    Embed,
    EmbedPositions,
    EmbedSegments,
    GatedActivation,
    HeadNorm,
    LayerNorm,
    Linear,
    Logits,
    Norm,
    Op,
    Program,
    Result,
    Rotary,
    SelectRows,
)


@dataclass(frozen=True, slots=True)
class EmbedSum:
    """`Embed` plus the rows of two further tables (or None)."""

    op: Embed
    positions: str | None
    segments: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """One weight of a product: out = x @ weight.T (+ bias), or out += it. `out` None means the logits."""

    weight: str
    bias: str | None
    out: str | None
    add: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """Rows of `x`, normed if `norm` is a weight, times each part's weight.

    selected: there are only the rows whose results are wanted, as after `Select`. gated: the parts are gate
    and up, and gate = silu(gate) * up afterwards. activation: of what the last part gives.
    """

    x: str
    norm: str | None
    eps: float
    parts: tuple[Part, ...]
    selected: bool = False
    gated: bool = False
    activation: ActivationKind | None = None


@dataclass(frozen=True, slots=True)
class FusedAttention:
    """`Attention` with what its heads go through before: norms (or None), rotary embedding or not."""

    op: Attention
    query_norm: HeadNorm | None
    key_norm: HeadNorm | None
    rotary: bool = True


@dataclass(frozen=True, slots=True)
class Select:
    """Moves the rows whose results are wanted to the front of each buffer."""

    buffers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """The step's result: the selected rows of `x`, normed if `norm` is a weight."""

    x: str
    norm: str | None
    eps: float


FusedOp: TypeAlias = Embed | EmbedSum | LayerNorm | Product | FusedAttention | Select | Output


@dataclass(frozen=True, slots=True)
class _View:
    """A buffer that is never written: the rows of another, selected and normed when they are read."""

    source: str
    norm: str | None = None
    eps: float = 0.0
    selected: bool = False


def fuse(program: Program) -> list[FusedOp]:
    """The operations of `program`, fused. Raises ValueError for a program whose shape has no such form."""
    return _Fusion().run(program)


class _Fusion:
    def __init__(self) -> None:
        self._ops: list[FusedOp] = []
        self._written: set[str] = set()  # buffers that hold rows
        self._tables: dict[str, EmbedPositions | EmbedSegments] = {}  # rows that are only read to be added
        self._selected: set[str] = set()  # buffers of rows whose results are wanted
        self._views: dict[str, _View] = {}
        self._alias: dict[str, str] = {}  # results that live in another buffer
        self._head_norms: dict[str, HeadNorm] = {}
        self._rotated: dict[str, Rotary] = {}

    def run(self, program: Program) -> list[FusedOp]:
        for op in program.ops:
            self._take(op)
        last = self._ops[-1] if self._ops else None
        logits = isinstance(last, Product) and last.parts[-1].out is None
        if not logits and not isinstance(last, Output):
            raise ValueError("the program ends without logits or another result")
        return _select_early(self._ops)

    def _take(self, op: Op) -> None:
        match op:
            case Embed(out=out):
                self._ops.append(op)
                self._write(out)
            case EmbedPositions(out=out) | EmbedSegments(out=out):
                self._write(out)
                self._written.discard(out)
                self._tables[out] = op
            case LayerNorm(x=x, out=out):
                selected = self._view(x, op).selected
                self._ops.append(replace(op, x=self._read(x, op)))
                self._write(out, selected)
            case Norm(x=x, out=out, weight=weight, eps=eps):
                view = self._view(x, op)
                if view.norm is not None:
                    raise _unsupported(op, f"{x} is normed already")
                self._view_as(out, replace(view, norm=weight, eps=eps))
            case SelectRows(x=x, out=out):
                source = self._read(x, op)
                if source in self._selected:
                    raise _unsupported(op, "rows are selected once")
                self._view_as(out, _View(source, selected=True))
            case Linear(x=x, out=out, weight=weight, bias=bias):
                view = self._view(x, op)
                self._product(view, Part(weight, bias, out), op)
                self._write(out, view.selected)
            case Logits(x=x, weight=weight):
                self._product(self._view(x, op), Part(weight, None, None), op)
            case Result(x=x):
                view = self._view(x, op)
                if not view.selected:
                    raise _unsupported(op, "a result is made of selected rows")
                self._ops.append(Output(view.source, view.norm, view.eps))
            case Activation(x=x, kind=kind):
                self._activate(x, kind, op)
            case Add(x=x, y=y):
                self._add(x, y, op)
            case GatedActivation(gate=gate, up=up, out=out):
                self._gate(gate, up, out, op)
            case HeadNorm(x=x):
                if self._read(x, op) in self._rotated:
                    raise _unsupported(op, f"{x} is rotated already")
                self._head_norms[self._read(x, op)] = op
            case Rotary(x=x):
                self._rotated[self._read(x, op)] = op
            case Attention():
                self._attend(op)

    def _read(self, name: str, op: Op) -> str:
        """The buffer that holds the rows of `name`."""
        source = self._alias.get(name, name)
        if source not in self._written:
            raise _unsupported(op, f"it reads {name}, which is not kept")
        return source

    def _view(self, name: str, op: Op) -> _View:
        return self._views.get(name) or _View(
            source := self._read(name, op), selected=source in self._selected
        )

    def _write(self, name: str, selected: bool = False) -> None:
        """`name` holds new rows: what was derived from the old ones is gone."""
        self._written.add(name)
        (self._selected.add if selected else self._selected.discard)(name)
        self._tables.pop(name, None)
        self._views = {out: view for out, view in self._views.items() if name not in (out, view.source)}
        self._alias = {out: source for out, source in self._alias.items() if name not in (out, source)}
        self._head_norms.pop(name, None)
        self._rotated.pop(name, None)

    def _view_as(self, name: str, view: _View) -> None:
        self._write(name)
        self._written.discard(name)
        self._views[name] = view

    def _product(self, view: _View, part: Part, op: Op) -> None:
        if part.out is None and not view.selected:
            raise _unsupported(op, "logits are of selected rows")
        if part.out == view.source:
            raise _unsupported(op, "it writes the rows it reads")
        last = self._ops[-1] if self._ops else None
        if (
            isinstance(last, Product)
            and (last.x, last.norm, last.selected, last.gated, last.activation)
            == (view.source, view.norm, view.selected, False, None)
            and all(other.out not in (part.out, view.source) for other in last.parts)
        ):
            self._ops[-1] = replace(last, parts=(*last.parts, part))
        else:
            self._ops.append(Product(view.source, view.norm, view.eps, (part,), view.selected))

    def _activate(self, x: str, kind: ActivationKind, op: Op) -> None:
        last = self._ops[-1] if self._ops else None
        if not (isinstance(last, Product) and last.parts[-1].out == x and not last.activation):
            raise _unsupported(op, "its input must come from the product just before")
        if last.gated or last.parts[-1].add:
            raise _unsupported(op, "its input is not what a product alone gives")
        self._ops[-1] = replace(last, activation=kind)

    def _add_table(self, table: EmbedPositions | EmbedSegments, target: str, op: Op) -> None:
        last = self._ops[-1] if self._ops else None
        found = EmbedSum(last, None, None) if isinstance(last, Embed) else last
        if not isinstance(found, EmbedSum) or found.op.out != target:
            raise _unsupported(op, "only the embedding just before can take a table")
        positions = isinstance(table, EmbedPositions)
        if (found.positions if positions else found.segments) is not None:
            raise _unsupported(op, "the embedding has such a table already")
        if positions:
            self._ops[-1] = replace(found, positions=table.weight)
        else:
            self._ops[-1] = replace(found, segments=table.weight)

    def _add(self, x: str, y: str, op: Op) -> None:
        last = self._ops[-1] if self._ops else None
        target = self._read(x, op)
        if y in self._tables:
            self._add_table(self._tables[y], target, op)
            return
        if not (
            isinstance(last, Product)
            and len(last.parts) == 1
            and last.parts[0].out == y
            and last.x != target
            and not last.activation
            and last.selected == (target in self._selected)
        ):
            raise _unsupported(op, "only the product just before can be added")
        self._ops[-1] = replace(last, parts=(replace(last.parts[0], out=target, add=True),))
        self._written.discard(y)
        self._write(target, last.selected)

    def _gate(self, gate: str, up: str, out: str, op: Op) -> None:
        last = self._ops[-1] if self._ops else None
        if not (isinstance(last, Product) and [part.out for part in last.parts] == [gate, up]):
            raise _unsupported(op, "gate and up must come from the product just before")
        self._ops[-1] = replace(last, gated=True)
        self._write(out)
        self._written -= {up, out}
        self._alias[out] = gate

    def _attend(self, op: Attention) -> None:
        q, k, v = (self._read(name, op) for name in (op.q, op.k, op.v))
        rotary = q in self._rotated
        if rotary != (k in self._rotated) or v in self._rotated or v in self._head_norms:
            raise _unsupported(op, "queries and keys need a rotary embedding or neither, values nothing")
        if {q, k, v} & self._selected:
            raise _unsupported(op, "it comes before the selection of rows")
        fused = replace(op, q=q, k=k, v=v)
        self._ops.append(FusedAttention(fused, self._head_norms.get(q), self._head_norms.get(k), rotary))
        self._write(op.out)


def _select_early(ops: list[FusedOp]) -> list[FusedOp]:
    """Puts a Select right after the last operation in which rows meet (or come to be)."""
    last = max(number for number, op in enumerate(ops) if isinstance(op, Embed | EmbedSum | FusedAttention))
    live: dict[str, None] = {}  # buffers that later operations read as they are now
    written: set[str] = set()
    later: list[FusedOp] = []
    for op in ops[last + 1 :]:
        if isinstance(op, Product):
            reads = [op.x, *(part.out for part in op.parts if part.add and part.out is not None)]
            live.update((name, None) for name in reads if name not in written)
            written.update(part.out for part in op.parts if part.out is not None)
            later.append(replace(op, selected=True))
        elif isinstance(op, LayerNorm | Output):
            if op.x not in written:
                live[op.x] = None
            if isinstance(op, LayerNorm):
                written.add(op.out)
            later.append(op)
    return [*ops[: last + 1], Select(tuple(live)), *later]


def _unsupported(op: Op, reason: str) -> ValueError:
    return ValueError(f"the CPU executor cannot run this {type(op).__name__}: {reason}")
