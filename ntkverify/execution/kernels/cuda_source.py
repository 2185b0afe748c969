"""CUDA source of the fused kernels, generated from the same statements as the CPU's.

One thread holds one neuron: its weights and gradient stay in registers while the samples pass through shared
memory, tile by tile. The features are added within a warp by shuffles, over the warps of a block in
order, and over the blocks by the caller, so that a sum does not depend on scheduling.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.execution.kernels.chain import Statements, canonical, forward_statements, gradient_statements
from ntkverify.execution.kernels.printer import ScalarPrinter
from ntkverify.symbolic.expression.functions import Softplus
from ntkverify.symbolic.network.neuron import Block, Neuron

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


def tile_size(neuron: Neuron) -> int:
    """Samples per tile that fit shared memory.

    Raises
    ------
    NtkVerifyError
        If not even one does.
    """
    features = max(len(b.features) for b in neuron.blocks)
    each = len(neuron.coordinates) + features * (1 + THREADS // WARP)
    size = 1
    while size < 128 and 2 * size * each <= SHARED_DOUBLES:
        size *= 2
    if size * each > SHARED_DOUBLES:
        raise NtkVerifyError(
            f"backend 'gpu' keeps a sample's {len(neuron.coordinates)} coordinates and the sums of {features} features "
            f"in shared memory, {SHARED_DOUBLES} doubles at most, and they need {each}; use backend='cpu'"
        )
    return size


def cuda_source(neuron: Neuron) -> str:
    """A translation unit with the kernel ``sweep``, in standard CUDA C++.

    Its arguments are those of the CPU's sweep, with ``partial`` of shape (blocks, K, rows) for the sums.
    """
    tile = tile_size(neuron)
    neuron = canonical(neuron)
    p, q, k = len(neuron.weights), len(neuron.frozen), len(neuron.coordinates)
    features = max(len(b.features) for b in neuron.blocks)
    printer = ScalarPrinter(CUDA_FUNCTIONS, conditional="({test} ? {yes} : {no})", sqrt="sqrt", power="pow")
    lines = [
        HELPERS,
        'extern "C" __global__ void sweep(double* weights, const double* frozen, const double* points,',
        "    const double* cotangents, const long long* sizes, double eta, double* gradient, double* partial,",
        "    int differentiate, int update, int add, long long m, long long rows) {",
        f"  __shared__ double tile_x[{tile * k}];",
        f"  __shared__ double tile_c[{tile * features}];",
        f"  __shared__ double warp_sums[{THREADS // WARP * features * tile}];",
        "  const long long j = (long long)blockIdx.x * blockDim.x + threadIdx.x;",
        "  const bool active = j < m;",
        # the compiler does not take CUDA's warpSize for a constant: it would divide, and not unroll
        f"  const int warps = blockDim.x / {WARP}, warp = threadIdx.x / {WARP}, lane = threadIdx.x % {WARP};",
        *(f"  double w{i} = active ? weights[j * {p} + {i}] : 0.0;" for i in range(p)),
        *(f"  const double f{i} = active ? frozen[j * {q} + {i}] : 0.0;" for i in range(q)),
        "  long long row = 0;",
        "  if (differentiate) {",
        *(f"    double g{i} = 0.0;" for i in range(p)),
    ]
    for index, b in enumerate(neuron.blocks):
        cotangents = tuple(sympy.Symbol(f"c{c}", real=True) for c in range(len(b.features)))
        code = gradient_statements(neuron, b, cotangents)
        lines += _tiles(neuron, b, code, index, tile, printer, gradient=True)
    lines += [
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
        lines += _tiles(neuron, b, forward_statements(neuron, b), index, tile, printer, gradient=False)
    return "\n".join([*lines, "  }", "}"]) + "\n"


def _tiles(
    neuron: Neuron, block: Block, code: Statements, index: int, tile: int, printer: ScalarPrinter, *, gradient: bool
) -> list[str]:
    """The loop over one block's samples, in tiles that the threads load together."""
    k, features = len(neuron.coordinates), len(block.features)
    widest = max(len(b.features) for b in neuron.blocks)
    every = (*code.neuron, *code.sample, *code.mixed)
    used = set().union(*(e.free_symbols for _, e in every), *(e.free_symbols for e in code.outputs))

    def let(assignments: tuple[tuple[sympy.Symbol, sympy.Expr], ...]) -> list[str]:
        return [f"const double {s.name} = {printer(e)};" for s, e in assignments]

    lines = [
        "{",
        *(f"  {line}" for line in let(code.neuron)),
        f"  for (long long base = 0; base < sizes[{index}]; base += {tile}) {{",
        f"    const int count = (int)(sizes[{index}] - base < {tile} ? sizes[{index}] - base : {tile});",
        "    __syncthreads();",
        f"    for (int e = threadIdx.x; e < count * {k}; e += blockDim.x)",
        f"      tile_x[e] = points[(row + base) * {k} + e];",
    ]
    if gradient:
        lines += [
            f"    for (int e = threadIdx.x; e < count * {features}; e += blockDim.x)",
            "      tile_c[e] = cotangents[(e / count) * rows + row + base + e % count];",
        ]
    lines += ["    __syncthreads();", "    for (int i = 0; i < count; ++i) {"]
    body = [f"const double {s.name} = tile_x[i * {k} + {c}];" for c, s in enumerate(neuron.coordinates) if s in used]
    if gradient:
        body += [f"const double c{c} = tile_c[{c} * count + i];" for c in range(features)]
    body += let(code.sample) + let(code.mixed)
    if gradient:
        body += [f"g{i} += {printer(e)};" for i, e in enumerate(code.outputs) if e != 0]
    else:
        for c, e in enumerate(code.outputs):
            body += [
                f"double y{c} = active ? {printer(e)} : 0.0;",
                *(f"y{c} += __shfl_down_sync(0xffffffffu, y{c}, {WARP >> o});" for o in range(1, WARP.bit_length())),
                f"if (lane == 0) warp_sums[(warp * {widest} + {c}) * {tile} + i] = y{c};",
            ]
    lines += [*(f"      {line}" for line in body), "    }"]
    if not gradient:
        lines += [
            "    __syncthreads();",
            f"    for (int e = threadIdx.x; e < count * {features}; e += blockDim.x) {{",
            "      const int c = e / count, i = e % count;",
            "      double total = 0.0;",
            f"      for (int v = 0; v < warps; ++v) total += warp_sums[(v * {widest} + c) * {tile} + i];",
            f"      partial[((long long)blockIdx.x * {widest} + c) * rows + row + base + i] = total;",
            "    }",
        ]
    lines += ["  }", f"  row += sizes[{index}];", "}"]
    return [f"    {line}" for line in lines]
