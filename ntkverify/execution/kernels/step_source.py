"""Text of the fused measured step: a step of training, and what its lemmas speak of, in one sweep over the neurons.

A group of neurons keeps the values and gradients of all samples in cache between the two halves of its step: before,
for the gradient of the loss (and the Gram matrix, where samples are few); after, for what the gradients say of the
change and for what they miss of it, neuron by neuron.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy

from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, values_and_gradients_statements
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.execution.kernels.sweep_source import HEADER, MOST_SHUFFLED
from ntkverify.symbolic.expression.majorant import majorant, roundings
from ntkverify.symbolic.network.neuron import Block, Neuron

#: neurons per group, and the most bytes that such a group may keep between the halves of its step: 64 in the first
#: cache, 32 in the second. At 30 samples, which take 64 neurons out of the first, those took 1.3 times as long as 32
#: with ReLU^3, 0.97 with tanh; 16 took 1.1 to 1.3 times as long as 32, but for 0.7 with ReLU^3 at 60 samples;
#: 128 took 0.94 of the time of 64 at 2 samples of 2 weights, 1.2 at 8 of 3
GROUPS = ((128, 8 << 10), (64, 48 << 10), (32, 1 << 20))
LEAST_LANES = 16
#: samples up to which the sweep forms the Gram matrix too: 0.5 to 0.7 of the time of both apart, 0.6 to 1.1 at 16
MOST_IN_SWEEP = 8
#: sums, majorants, linear part, remainder
KINDS = 4
#: of a group of weights: largest squared drift, their sum, largest squared norm and gradient, sum of squared changes
SQUARES = 5
#: which of these are largest ones; the others are sums
LARGEST = (0, 2, 3)
#: text of the larger of two numbers, and of no number where one of them is none, which `max` would drop
LARGER = "most if (most >= value) | (most != most) else value"


@dataclass(frozen=True)
class StepSource:
    """Generated text and what the caller must know of it.

    Parameters
    ----------
    text : str
        A Python module with the function ``measure``.
    lanes : int
        Neurons per group.
    roundings : int
        Most roundings within a neuron's features.
    forms_gram : bool
        Whether the sweep forms the Gram matrix.
    """

    text: str
    lanes: int
    roundings: int
    forms_gram: bool


def lanes_of(total: int, values: int) -> int:
    """Neurons per group, for so many samples with so many numbers kept of each."""
    return next((lanes for lanes, most in GROUPS if lanes * total * values * 8 <= most), LEAST_LANES)


def step_source(neuron: Neuron, sizes: tuple[int, ...]) -> StepSource:
    """Generate the measured step of a neuron for blocks of the given sizes, which decide how much is kept."""
    widest = max(len(b.features) for b in neuron.blocks)
    total = sum(sizes)
    lanes = lanes_of(total, widest * (len(neuron.weights) + 1))
    return _step_source(neuron, lanes, total <= MOST_IN_SWEEP)


@functools.lru_cache(maxsize=256)
def _step_source(neuron: Neuron, lanes: int, forms_gram: bool) -> StepSource:
    groups = neuron.groups
    neuron = canonical(neuron)
    writer = _Writer(neuron, groups, lanes, forms_gram)
    text = HEADER + "\n".join(writer.lines()) + "\n"
    most = max(roundings_of(c, b, writer.given) for c, b in zip(writer.after, neuron.blocks, strict=True))
    return StepSource(text, lanes, most, forms_gram)


def roundings_of(code: Statements, block: Block, given: frozenset[sympy.Symbol]) -> int:
    """Most roundings of a feature as the statements evaluate it."""
    found = []
    for value in code.outputs[: len(block.features)]:
        for symbol, expression in reversed((*code.neuron, *code.sample, *code.mixed)):
            value = value.xreplace({symbol: expression})
        found.append(roundings(value, given))
    return max(found)


class _Writer:
    """Writes the lines of one kernel."""

    def __init__(self, neuron: Neuron, groups: Mapping[str, tuple[int, ...]], lanes: int, forms_gram: bool) -> None:
        self.neuron, self.groups, self.lanes, self.forms_gram = neuron, groups, lanes, forms_gram
        self.printer, self.given = ScalarPrinter(), frozenset(neuron.coordinates)
        self.p, self.q = len(neuron.weights), len(neuron.frozen)
        self.before = [values_and_gradients_statements(neuron, b) for b in neuron.blocks]
        self.after = [
            forward_statements(
                neuron, replace(b, features=(*b.features, *(majorant(f, self.given) for f in b.features)))
            )
            for b in neuron.blocks
        ]
        self.widest = max(len(b.features) for b in neuron.blocks)

    def lines(self) -> list[str]:
        """The whole function."""
        p, near = self.p, max(self.p, self.q) <= MOST_SHUFFLED
        weight = [f"group[l * {p} + {i}]" if near else f"weights[j0 + l, {i}]" for i in range(p)]
        lines = [*self._head(), *self._group_of_neurons(weight, near)]
        for index, (b, code) in enumerate(zip(self.neuron.blocks, self.before, strict=True)):
            lines += self._first_half(index, b, code)
        lines += self._gram() if self.forms_gram else []
        lines += [
            "        if given:",
            "            for l in range(size):",
            *(f"                x[{k}, l] = change[j0 + l, {k}]" for k in range(p)),
            "        else:",
            "            for l in range(size):",
            *(f"                x[{k}, l] = -eta * g[{k}, l]" for k in range(p)),
            "        for l in range(size):",
            *(f"            w[{k}, l] += x[{k}, l]" for k in range(p)),
            "        for l in range(size):",
            *(f"            {weight[k]} = w[{k}, l]" for k in range(p)),
            *self._squares(),
            "        row = 0",
        ]
        for index, (b, code) in enumerate(zip(self.neuron.blocks, self.after, strict=True)):
            lines += self._second_half(index, b, code)
        return lines + self._over_lanes()

    def _head(self) -> list[str]:
        """The signature and the arrays of a group of neurons."""
        p, q, lanes, widest = self.p, self.q, self.lanes, self.widest
        return [
            "@njit(",
            "    void(",
            "        MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS, float64,",
            "        float64[:, :, ::1], MATRIX, MATRIX, boolean, boolean, int64, int64,",
            "    ),",
            "    fastmath=FAST, **OPTIONS,",
            ")",
            "def measure(",
            "    weights, start, frozen, change, points, cotangents, slopes, sizes, eta, rows, gram, squares, given,",
            "    with_gram, first, last,",
            "):",
            "    prefer_wide_vectors()",
            "    count = points.shape[0]",
            f"    w = np.empty(({p}, {lanes}))",
            f"    g = np.empty(({p}, {lanes}))",
            f"    x = np.empty(({p}, {lanes}))",
            f"    f = np.empty(({max(q, 1)}, {lanes}))",
            f"    v = np.empty((count, {widest}, {lanes}))",
            f"    d = np.empty((count, {widest}, {p}, {lanes}))",
            *([f"    u = np.empty((count, {p}, {lanes}))"] if self.forms_gram else []),
            f"    b = np.empty(({p}, {lanes}))",
            f"    o = np.zeros(({len(self.groups)}, {SQUARES}, {lanes}))",
        ]

    def _group_of_neurons(self, weight: Sequence[str], near: bool) -> list[str]:
        """The loop over groups of neurons begins: their weights, now and at the start, are fetched."""
        p, q, lanes = self.p, self.q, self.lanes
        fixed = [f"fixed[l * {q} + {i}]" if near else f"frozen[j0 + l, {i}]" for i in range(q)]
        begun = [f"begun[l * {p} + {i}]" if near else f"start[j0 + l, {i}]" for i in range(p)]
        flat = [
            f"        group = weights.reshape(weights.size)[j0 * {p} : (j0 + size) * {p}]",
            f"        begun = start.reshape(start.size)[j0 * {p} : (j0 + size) * {p}]",
            f"        fixed = frozen.reshape(frozen.size)[j0 * {q} : (j0 + size) * {q}]",
        ]
        return [
            f"    for j0 in range(first, last, {lanes}):",
            f"        size = min({lanes}, last - j0)",
            *(flat if near else []),
            "        for l in range(size):",
            *(f"            w[{i}, l] = {weight[i]}" for i in range(p)),
            *(f"            b[{i}, l] = {begun[i]}" for i in range(p)),
            *(f"            f[{i}, l] = {fixed[i]}" for i in range(q)),
            *(f"            g[{i}, l] = 0.0" for i in range(p)),
            "        row = 0",
        ]

    def _first_half(self, index: int, block: Block, code: Statements) -> list[str]:
        """Values and gradients of one block, and what they add to the gradient of the loss."""
        features, p = len(block.features), self.p
        values, gradients = code.outputs[:features], code.outputs[features:]
        lines = [f"        for i in range(row, row + sizes[{index}]):", *self._of_sample(code)]
        lines += [f"            c{k} = cotangents[{k}, i]" for k in range(features)]
        lines += ["            for l in range(size):", *self._of_neuron(code)]
        lines += [f"                v[i, {k}, l] = {self.printer(e)}" for k, e in enumerate(values)]
        for k in range(features):
            lines += [
                f"                d[i, {k}, {j}, l] = {self.printer(e)}"
                for j, e in enumerate(gradients[k * p : (k + 1) * p])
            ]
        lines += [
            f"                g[{j}, l] += " + " + ".join(f"c{k} * d[i, {k}, {j}, l]" for k in range(features))
            for j in range(p)
        ]
        if self.forms_gram:
            lines += [
                f"                u[i, {j}, l] = "
                + " + ".join(f"slopes[{k}, i] * d[i, {k}, {j}, l]" for k in range(features))
                for j in range(p)
            ]
        return [*lines, f"        row += sizes[{index}]"]

    def _gram(self) -> list[str]:
        return [
            "        if with_gram:",
            "            for i in range(count):",
            "                for j in range(i + 1):",
            "                    s = 0.0",
            "                    for l in range(size):",
            "                        s += " + " + ".join(f"u[i, {k}, l] * u[j, {k}, l]" for k in range(self.p)),
            "                    gram[i, j] += s",
        ]

    def _squares(self) -> list[str]:
        """Squared lengths of what moves, by group of weights."""

        def square(places: Iterable[int], term: str) -> str:
            return " + ".join(f"({term.format(k=k)}) ** 2" for k in places)

        # every lane keeps its own, so that nothing is gathered from a vector before the end
        lines = ["        for l in range(size):"]
        for index, places in enumerate(self.groups.values()):
            terms = ["w[{k}, l] - b[{k}, l]", "w[{k}, l]", "g[{k}, l]", "x[{k}, l]"]
            moved, norm, steep, length = (square(places, term) for term in terms)
            lines += [f"            moved = {moved}", f"            o[{index}, 1, l] += moved"]
            lines += [f"            o[{index}, 4, l] += {length}"]
            for spot, value in zip(LARGEST, ("moved", norm, steep), strict=True):
                at = f"o[{index}, {spot}, l]"
                lines += [f"            value = {value}", f"            most = {at}", f"            {at} = {LARGER}"]
        return lines

    def _over_lanes(self) -> list[str]:
        """The lanes' squares, put together."""
        lines = []
        for index in range(len(self.groups)):
            for k in range(SQUARES):
                at = f"squares[{index}, {k}]"
                lines += [f"    most = {at}", f"    for l in range({self.lanes}):"]
                lines += [f"        value = o[{index}, {k}, l]"]
                lines += [f"        most = {LARGER}" if k in LARGEST else "        most += value", f"    {at} = most"]
        return lines

    def _second_half(self, index: int, block: Block, code: Statements) -> list[str]:
        """Sums, majorants, linear part and remainder of one block after the step."""
        features = range(len(block.features))
        lines = [f"        for i in range(row, row + sizes[{index}]):", *self._of_sample(code)]
        lines += [f"            {name}{k} = 0.0" for k in features for name in ("y", "a", "t", "e")]
        lines += ["            for l in range(size):", *self._of_neuron(code)]
        for k in features:
            along = " + ".join(f"d[i, {k}, {j}, l] * x[{j}, l]" for j in range(self.p))
            lines += [
                f"                new = {self.printer(code.outputs[k])}",
                f"                along = {along}",
                f"                y{k} += new",
                f"                a{k} += {self.printer(code.outputs[len(features) + k])}",
                f"                t{k} += along",
                f"                e{k} += (new - v[i, {k}, l]) - along",
            ]
        for k in features:
            lines += [f"            rows[{r}, {k}, i] += {name}{k}" for r, name in enumerate(("y", "a", "t", "e"))]
        return [*lines, f"        row += sizes[{index}]"]

    def _of_sample(self, code: Statements) -> list[str]:
        used = _used(code)
        return [
            *(f"            {s.name} = points[i, {c}]" for c, s in enumerate(self.neuron.coordinates) if s in used),
            *(f"            {s.name} = {self.printer(e)}" for s, e in code.sample),
        ]

    def _of_neuron(self, code: Statements) -> list[str]:
        used = _used(code)
        return [
            *(f"                {s.name} = w[{i}, l]" for i, s in enumerate(self.neuron.weights) if s in used),
            *(f"                {s.name} = f[{i}, l]" for i, s in enumerate(self.neuron.frozen) if s in used),
            *(f"                {s.name} = {self.printer(e)}" for s, e in (*code.neuron, *code.mixed)),
        ]


def _used(code: Statements) -> set[sympy.Basic]:
    expressions = [*(e for _, e in (*code.neuron, *code.sample, *code.mixed)), *code.outputs]
    return set().union(*(e.free_symbols for e in expressions))
