"""CUDA source of the measured step: a step of training, and what its lemmas speak of, in one kernel.

One thread holds one neuron. Its values and gradients before the step would not fit its registers for all samples at
once, so that the second pass forms them again, beside those after.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import sympy

from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, values_and_gradients_statements
from ntkverify.execution.kernels.cuda.sweep import HELPERS, Tiles, let, printer, tile_size
from ntkverify.execution.kernels.step_source import KINDS, roundings_of
from ntkverify.symbolic.expression.majorant import majorant
from ntkverify.symbolic.network.neuron import Block, Neuron

#: what the names of values after the step begin with, beside those of the same values before it
_AFTER = "new_"


@dataclass(frozen=True)
class CudaStep:
    """Generated text and what the caller must know of it.

    Parameters
    ----------
    text : str
        A translation unit with the kernel ``measure``.
    roundings : int
        Most roundings within a neuron's features.
    """

    text: str
    roundings: int


def cuda_step_source(neuron: Neuron) -> CudaStep:
    """A translation unit with the kernel ``measure``, in standard CUDA C++.

    It moves the weights in place by ``change``, or by ``-eta`` times the gradient where that is null, writes the
    gradient, and fills ``partial``, of shape (blocks, `KINDS` * K, rows), with sums, majorants, linear part and
    remainder of the features.
    """
    size = tile_size(neuron, KINDS)
    tiles = Tiles(canonical(neuron), size, KINDS)
    neuron, p = tiles.neuron, len(tiles.neuron.weights)
    after, given = [_after(neuron, b) for b in neuron.blocks], frozenset(neuron.coordinates)
    lines = [
        HELPERS,
        'extern "C" __global__ void measure(double* weights, const double* frozen, const double* change,',
        "    const double* points, const double* cotangents, const long long* sizes, double eta, double* gradient,",
        "    double* partial, long long m, long long rows) {",
        *tiles.head(),
        "  {",
        *tiles.gradient(),
        *(f"    const double h{i} = !active ? 0.0 : (change ? change[j * {p} + {i}] : -eta * g{i});" for i in range(p)),
        *(f"    const double {_AFTER}w{i} = w{i} + h{i};" for i in range(p)),
        "    if (active) {",
        *(f"      gradient[j * {p} + {i}] = g{i}; weights[j * {p} + {i}] = {_AFTER}w{i};" for i in range(p)),
        "    }",
        "    row = 0;",
    ]
    for index, (b, code) in enumerate(zip(neuron.blocks, after, strict=True)):
        lines += _second_pass(tiles, index, b, code)
    text = "\n".join([*lines, "  }", "}"]) + "\n"
    return CudaStep(text, max(roundings_of(c, b, given) for c, b in zip(after, neuron.blocks, strict=True)))


def _after(neuron: Neuron, block: Block) -> Statements:
    """Features and majorants at the new weights, in names of their own for all that these change."""
    given = frozenset(neuron.coordinates)
    features = (*block.features, *(majorant(f, given) for f in block.features))
    code = forward_statements(neuron, dataclasses.replace(block, features=features))
    own = [*neuron.weights, *(s for part in (code.neuron, code.sample, code.mixed) for s, _ in part)]
    names = {s: sympy.Symbol(_AFTER + s.name, real=s.is_real) for s in own}

    def renamed(part: tuple[tuple[sympy.Symbol, sympy.Expr], ...]) -> tuple[tuple[sympy.Symbol, sympy.Expr], ...]:
        return tuple((names[s], e.xreplace(names)) for s, e in part)

    return Statements(
        renamed(code.neuron), renamed(code.sample), renamed(code.mixed), tuple(e.xreplace(names) for e in code.outputs)
    )


def _second_pass(tiles: Tiles, index: int, block: Block, after: Statements) -> list[str]:
    """What one block's features are after the step, and what their gradients before it say and miss of the change."""
    neuron, p, features = tiles.neuron, len(tiles.neuron.weights), len(block.features)
    before, write = values_and_gradients_statements(neuron, block), printer()
    body = [line for code in (before, after) for line in (*let(code.sample), *let(code.mixed))]
    for k in range(features):
        slopes = before.outputs[features + k * p : features + (k + 1) * p]
        along = " + ".join(f"({write(e)}) * h{i}" for i, e in enumerate(slopes) if e != 0) or "0.0"
        body += [
            f"const double old{k} = {write(before.outputs[k])};",
            f"const double now{k} = {write(after.outputs[k])};",
            f"const double along{k} = {along};",
        ]
    added = []
    for kind in range(KINDS):
        for k in range(tiles.widest):
            if k >= features:
                added.append("0.0")  # rows of a wider block
                continue
            missed = f"(now{k} - old{k}) - along{k}"
            added.append((f"now{k}", write(after.outputs[features + k]), f"along{k}", missed)[kind])
    return tiles.loop(index, [*let(before.neuron), *let(after.neuron)], body, added=added)
