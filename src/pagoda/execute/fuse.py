"""The fusion pass: a program becomes the few operations a layer that the CPU executor runs.

    norm, q, k and v products      head norms, rotary embedding, cache, attention
    output product, residual add   norm, gate and up products, silu(gate) * up    down product, residual add

The pass follows the values, not the order of lines: a norm is carried to the products that read it, an `Add`
back into the product that made its operand, so that neither costs a pass over memory or a barrier. After the
last attention rows no longer meet, so from there on only those run whose logits are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from pagoda.models.program import (
    Add,
    Attention,
    Embed,
    GatedActivation,
    HeadNorm,
    Linear,
    Logits,
    Norm,
    Op,
    Program,
    Rotary,
    SelectRows,
)


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

    selected: there are only the rows whose logits are wanted, as after `Select`. gated: the parts are gate
    and up, and gate = silu(gate) * up afterwards.
    """

    x: str
    norm: str | None
    eps: float
    parts: tuple[Part, ...]
    selected: bool = False
    gated: bool = False


@dataclass(frozen=True, slots=True)
class FusedAttention:
    """`Attention` with what its heads go through before: norms (or None) and the rotary embedding."""

    op: Attention
    query_norm: HeadNorm | None
    key_norm: HeadNorm | None


@dataclass(frozen=True, slots=True)
class Select:
    """Moves the rows whose logits are wanted to the front of each buffer."""

    buffers: tuple[str, ...]


FusedOp: TypeAlias = Embed | Product | FusedAttention | Select


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
        self._views: dict[str, _View] = {}
        self._alias: dict[str, str] = {}  # results that live in another buffer
        self._head_norms: dict[str, HeadNorm] = {}
        self._rotated: dict[str, Rotary] = {}

    def run(self, program: Program) -> list[FusedOp]:
        for op in program.ops:
            self._take(op)
        last = self._ops[-1] if self._ops else None
        if not isinstance(last, Product) or last.parts[-1].out is not None:
            raise ValueError("the program ends without logits")
        return _select_early(self._ops)

    def _take(self, op: Op) -> None:
        match op:
            case Embed(out=out):
                self._ops.append(op)
                self._write(out)
            case Norm(x=x, out=out, weight=weight, eps=eps):
                view = self._view(x, op)
                if view.norm is not None:
                    raise _unsupported(op, f"{x} is normed already")
                self._view_as(out, replace(view, norm=weight, eps=eps))
            case SelectRows(x=x, out=out):
                source = self._read(x, op)
                self._view_as(out, _View(source, selected=True))
            case Linear(x=x, out=out, weight=weight, bias=bias):
                self._product(self._view(x, op), Part(weight, bias, out), op)
                self._write(out)
            case Logits(x=x, weight=weight):
                self._product(self._view(x, op), Part(weight, None, None), op)
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
        return self._views.get(name) or _View(self._read(name, op))

    def _write(self, name: str) -> None:
        """`name` holds new rows: what was derived from the old ones is gone."""
        self._written.add(name)
        self._views = {out: view for out, view in self._views.items() if name not in (out, view.source)}
        self._alias = {out: source for out, source in self._alias.items() if name not in (out, source)}
        self._head_norms.pop(name, None)
        self._rotated.pop(name, None)

    def _view_as(self, name: str, view: _View) -> None:
        self._write(name)
        self._written.discard(name)
        self._views[name] = view

    def _product(self, view: _View, part: Part, op: Op) -> None:
        if view.selected != (part.out is None):
            raise _unsupported(op, "selected rows and logits go together")
        if part.out == view.source:
            raise _unsupported(op, "it writes the rows it reads")
        last = self._ops[-1] if self._ops else None
        if (
            isinstance(last, Product)
            and (last.x, last.norm, last.selected, last.gated)
            == (view.source, view.norm, view.selected, False)
            and all(other.out not in (part.out, view.source) for other in last.parts)
        ):
            self._ops[-1] = replace(last, parts=(*last.parts, part))
        else:
            self._ops.append(Product(view.source, view.norm, view.eps, (part,), view.selected))

    def _add(self, x: str, y: str, op: Op) -> None:
        last = self._ops[-1] if self._ops else None
        target = self._read(x, op)
        if not (
            isinstance(last, Product) and len(last.parts) == 1 and last.parts[0].out == y and last.x != target
        ):
            raise _unsupported(op, "only the product just before can be added")
        self._ops[-1] = replace(last, parts=(replace(last.parts[0], out=target, add=True),))
        self._written.discard(y)
        self._write(target)

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
        if q not in self._rotated or k not in self._rotated or v in self._rotated or v in self._head_norms:
            raise _unsupported(op, "queries and keys need a rotary embedding, values nothing")
        fused = replace(op, q=q, k=k, v=v)
        self._ops.append(FusedAttention(fused, self._head_norms.get(q), self._head_norms.get(k)))
        self._write(op.out)


def _select_early(ops: list[FusedOp]) -> list[FusedOp]:
    """Puts a Select right after the last operation in which rows meet (or come to be)."""
    last = max(number for number, op in enumerate(ops) if isinstance(op, Embed | FusedAttention))
    live: dict[str, None] = {}  # buffers that later operations read as they are now
    written: set[str] = set()
    later: list[FusedOp] = []
    for op in ops[last + 1 :]:
        if isinstance(op, Product):
            reads = [op.x, *(part.out for part in op.parts if part.add and part.out is not None)]
            live.update((name, None) for name in reads if name not in written)
            written.update(part.out for part in op.parts if part.out is not None)
            later.append(replace(op, selected=True))
    return [*ops[: last + 1], Select(tuple(live)), *later]


def _unsupported(op: Op, reason: str) -> ValueError:
    return ValueError(f"the CPU executor cannot run this {type(op).__name__}: {reason}")
