"""CUDA source of the fused kernels, generated from the same statements as the CPU's.

One thread holds one neuron: its weights and gradient stay in registers while the samples pass through shared
memory, tile by tile. The features are added within a warp by shuffles, over the warps of a block in
order, and over the blocks by the caller, so that a sum does not depend on scheduling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.kernels.chain import canonical, forward_statements, gradient_statements
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.symbolic.expression.functions import Softplus
from ntkverify.symbolic.network.neuron import Neuron

THREADS = 256
WARP = 32
# doubles of shared memory that the tiles and the warps' sums may take: 40 KiB of the 48 that every device grants
SHARED_DOUBLES = 5120

CUDA_FUNCTIONS: Mapping[type, str] = {
    sympy.exp: "exp",
    sympy.tanh: "tanh",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.log: "log",
    sympy.tan: "tan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.atan: "atan",
    sympy.erf: "erf",
    sympy.Abs: "fabs",
    sympy.sign: "sign_of",
    Softplus: "softplus",
}

HELPERS = """
__device__ inline double sign_of(double x) { return x > 0.0 ? 1.0 : (x < 0.0 ? -1.0 : x); }
__device__ inline double softplus(double x) { return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x))); }
"""


def tile_size(neuron: Neuron, sums: int = 1) -> int:
    """Samples per tile that fit shared memory, with so many sums a feature.

    Raises
    ------
    NtkVerifyError
        If not even one does.
    """
    features = max(len(b.features) for b in neuron.blocks)
    each = len(neuron.coordinates) + features * (1 + sums * (THREADS // WARP))
    size = 1
    while size < 128 and 2 * size * each <= SHARED_DOUBLES:
        size *= 2
    if size * each > SHARED_DOUBLES:
        raise NtkVerifyError(
            f"backend 'gpu' keeps a sample's {len(neuron.coordinates)} coordinates and the sums of {features} features "
            f"in shared memory, {SHARED_DOUBLES} doubles at most, and they need {each}; use backend='cpu'"
        )
    return size


def printer() -> ScalarPrinter:
    """Expressions as CUDA writes them."""
    return ScalarPrinter(CUDA_FUNCTIONS, conditional="({test} ? {yes} : {no})", sqrt="sqrt", power="pow")


def cuda_source(neuron: Neuron) -> str:
    """A translation unit with the kernel ``sweep``, in standard CUDA C++.

    Its arguments are those of the CPU's sweep, with ``partial`` of shape (blocks, K, rows) for the sums.
    """
    tiles = Tiles(canonical(neuron), tile_size(neuron))
    neuron, p = tiles.neuron, len(neuron.weights)
    lines = [
        HELPERS,
        'extern "C" __global__ void sweep(double* weights, const double* frozen, const double* points,',
        "    const double* cotangents, const long long* sizes, double eta, double* gradient, double* partial,",
        "    int differentiate, int update, int add, long long m, long long rows) {",
        *tiles.head(),
        "  if (differentiate) {",
        *tiles.gradient(),
        "    if (active) {",
        *(f"      if (gradient) gradient[j * {p} + {i}] = g{i};" for i in range(p)),
        "      if (update) {",
        *(f"        w{i} -= eta * g{i}; weights[j * {p} + {i}] = w{i};" for i in range(p)),
        "      }",
        "    }",
        "  }",
        "  if (add) {",
        "    row = 0;",
    ]
    for index, b in enumerate(neuron.blocks):
        code = forward_statements(neuron, b)
        body = [*let(code.sample), *let(code.mixed)]
        lines += tiles.loop(index, let(code.neuron), body, added=[printer()(e) for e in code.outputs])
    return "\n".join([*lines, "  }", "}"]) + "\n"


def let(assignments: Iterable[tuple[sympy.Symbol, sympy.Expr]]) -> list[str]:
    """The assignments as constants."""
    return [f"const double {s.name} = {printer()(e)};" for s, e in assignments]


class Tiles:
    """Writes the loops over samples of one kernel, in tiles that a block's threads load together.

    Parameters
    ----------
    neuron : Neuron
        In canonical names.
    size : int
        Samples per tile.
    sums : int
        What is added per feature.
    """

    def __init__(self, neuron: Neuron, size: int, sums: int = 1) -> None:
        self.neuron, self.size = neuron, size
        self.widest = max(len(b.features) for b in neuron.blocks)
        self.added = sums * self.widest

    def head(self) -> list[str]:
        """What a kernel begins with: shared memory, which neuron the thread has, its weights."""
        p, q = len(self.neuron.weights), len(self.neuron.frozen)
        return [
            f"  __shared__ double tile_x[{self.size * len(self.neuron.coordinates)}];",
            f"  __shared__ double tile_c[{self.size * self.widest}];",
            f"  __shared__ double warp_sums[{THREADS // WARP * self.added * self.size}];",
            "  const long long j = (long long)blockIdx.x * blockDim.x + threadIdx.x;",
            "  const bool active = j < m;",
            # the compiler does not take CUDA's warpSize for a constant: it would divide, and not unroll
            f"  const int warps = blockDim.x / {WARP}, warp = threadIdx.x / {WARP}, lane = threadIdx.x % {WARP};",
            *(f"  double w{i} = active ? weights[j * {p} + {i}] : 0.0;" for i in range(p)),
            *(f"  const double f{i} = active ? frozen[j * {q} + {i}] : 0.0;" for i in range(q)),
            "  long long row = 0;",
        ]

    def gradient(self) -> list[str]:
        """The gradient g0, g1, ... of the neuron in all blocks' samples."""
        lines = [f"    double g{i} = 0.0;" for i in range(len(self.neuron.weights))]
        for index, b in enumerate(self.neuron.blocks):
            cotangents = tuple(sympy.Symbol(f"c{c}", real=True) for c in range(len(b.features)))
            code = gradient_statements(self.neuron, b, cotangents)
            body = [*(f"const double {c.name} = tile_c[{k} * count + i];" for k, c in enumerate(cotangents))]
            body += [*let(code.sample), *let(code.mixed)]
            body += [f"g{i} += {printer()(e)};" for i, e in enumerate(code.outputs) if e != 0]
            lines += self.loop(index, let(code.neuron), body, with_cotangents=True)
        return lines

    def loop(
        self,
        index: int,
        before: Sequence[str],
        body: Sequence[str],
        *,
        added: Sequence[str] = (),
        with_cotangents: bool = False,
    ) -> list[str]:
        """The loop over one block's samples.

        Parameters
        ----------
        index : int
            Which block.
        before : sequence of str
            Statements of the neuron alone.
        body : sequence of str
            Statements at one sample.
        added : sequence of str
            What every neuron then adds to the sums, in order of their rows.
        with_cotangents : bool
            Whether the tiles hold cotangents too.
        """
        k, features, size = len(self.neuron.coordinates), len(self.neuron.blocks[index].features), self.size
        lines = [
            "{",
            *(f"  {line}" for line in before),
            f"  for (long long base = 0; base < sizes[{index}]; base += {size}) {{",
            f"    const int count = (int)(sizes[{index}] - base < {size} ? sizes[{index}] - base : {size});",
            "    __syncthreads();",
            f"    for (int e = threadIdx.x; e < count * {k}; e += blockDim.x)",
            f"      tile_x[e] = points[(row + base) * {k} + e];",
        ]
        if with_cotangents:
            lines += [
                f"    for (int e = threadIdx.x; e < count * {features}; e += blockDim.x)",
                "      tile_c[e] = cotangents[(e / count) * rows + row + base + e % count];",
            ]
        lines += ["    __syncthreads();", "    for (int i = 0; i < count; ++i) {"]
        lines += [*(f"      {line}" for line in self._at_sample(body, added)), "    }"]
        if added:
            lines += [
                "    __syncthreads();",
                f"    for (int e = threadIdx.x; e < count * {len(added)}; e += blockDim.x) {{",
                "      const int c = e / count, i = e % count;",
                "      double total = 0.0;",
                f"      for (int v = 0; v < warps; ++v) total += warp_sums[(v * {self.added} + c) * {size} + i];",
                f"      partial[((long long)blockIdx.x * {self.added} + c) * rows + row + base + i] = total;",
                "    }",
            ]
        return [f"    {line}" for line in [*lines, "  }", f"  row += sizes[{index}];", "}"]]

    def _at_sample(self, body: Sequence[str], added: Sequence[str]) -> list[str]:
        """What is done at one sample: its coordinates that are used, the body, and a warp's part of each sum."""
        text, k = "\n".join([*body, *added]), len(self.neuron.coordinates)
        coordinates = [(c, s.name) for c, s in enumerate(self.neuron.coordinates) if re.search(rf"\b{s.name}\b", text)]
        lines = [*(f"const double {name} = tile_x[i * {k} + {c}];" for c, name in coordinates), *body]
        for c, value in enumerate(added):
            lines += [
                f"double y{c} = active ? {value} : 0.0;",
                *(f"y{c} += __shfl_down_sync(0xffffffffu, y{c}, {WARP >> o});" for o in range(1, WARP.bit_length())),
                f"if (lane == 0) warp_sums[(warp * {self.added} + {c}) * {self.size} + i] = y{c};",
            ]
        return lines
