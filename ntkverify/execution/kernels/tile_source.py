"""Text of register tiles for small symmetric products."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from llvmlite import binding  # type: ignore[import-untyped]

from ntkverify.execution.kernels.cache import load_generated
from ntkverify.execution.kernels.sweep_source import HEADER

# rows of a tile; panels are padded to a multiple of it
TILE_ROWS = 4


def tile_source(columns: int) -> str:
    """A module with ``add``, which adds the products of a panel's components, tile by tile of the lower triangle."""
    tile = [(a, b) for a in range(TILE_ROWS) for b in range(columns)]
    lines = [
        "@njit(void(float64[:, :, ::1], MATRIX, MATRIX), fastmath=FAST, **OPTIONS)",
        "def add(panels, first, others):",
        "    prefer_wide_vectors()",
        "    rows, width = panels.shape[1], panels.shape[2]",
        "    for c in range(panels.shape[0]):",
        "        panel, target = panels[c], first if c == 0 else others",
        f"        for i in range(0, rows, {TILE_ROWS}):",
        f"            for j in range(0, i + {TILE_ROWS}, {columns}):",
        *(f"                s{a}_{b} = 0.0" for a, b in tile),
        "                for l in range(width):",
        *(f"                    p{a} = panel[i + {a}, l]" for a in range(TILE_ROWS)),
        *(f"                    q{b} = panel[j + {b}, l]" for b in range(columns)),
        *(f"                    s{a}_{b} += p{a} * q{b}" for a, b in tile),
        *(f"                target[i + {a}, j + {b}] += s{a}_{b}" for a, b in tile),
    ]
    return HEADER + "\n".join(lines) + "\n"


@cache
def tiles() -> ModuleType:
    """The module with ``add`` for this processor."""
    try:
        wide = binding.get_host_cpu_features().get("avx512f", False)
    except RuntimeError:  # LLVM does not know this processor
        wide = False
    # sums of a tile and what they are formed of fit the 32 registers of AVX-512, or 16 where there are fewer
    return load_generated(tile_source(4 if wide else 2))
