"""Samples that a Gram matrix can't tell apart: all pairs of them, and the words of a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST = 10  #: pairs that a sentence names; the others are counted
_ROUNDINGS = 4  # an entry of a Gram matrix is some roundings of sqrt(H_ii H_jj) off

Row = tuple[str, int]  #: a block, and a row of it
#: what the second of two samples does to the first, as a kernel sees it
PARALLEL, NEARLY = "is to rounding parallel to", "is to rounding the same as"


@dataclass(frozen=True)
class Alike:
    """Two samples, the first standing before the second, and what the second does: "repeats", "is parallel to"."""

    first: Row
    second: Row
    verb: str = "repeats"


def equal_rows(points: Any) -> list[tuple[int, int]]:
    """All pairs of equal rows (i < j) of `points` (n, k), in the order of j."""
    seen: dict[bytes, list[int]] = {}
    pairs = []
    for row, values in enumerate(np.asarray(points, np.float64) + 0.0):  # -0.0 and 0.0 are one number
        earlier = seen.setdefault(values.tobytes(), [])
        pairs += [(other, row) for other in earlier]
        earlier.append(row)
    return pairs


def alike_rows(gram: Any) -> list[tuple[int, int]]:
    """All pairs (i < j) that alone make a Gram matrix (n, n) singular to rounding, in the order of j.

    The least eigenvalue of a matrix is at most that of its rows and columns i and j alone (Cauchy's interlacing), so
    that a pair whose own is below n eps ||H||, the backward error of the eigensolver, is a reason of its own.
    """
    matrix = np.asarray(gram, np.float64)
    diagonal = np.diag(matrix)
    half_sum, half_difference = (np.add.outer(diagonal, s * diagonal) / 2 for s in (1, -1))
    least = half_sum - np.hypot(half_difference, matrix)
    floor = _ROUNDINGS * len(matrix) * np.finfo(np.float64).eps * np.linalg.norm(matrix, 2)
    some = diagonal > 0  # a zero row is a reason by itself
    close = np.triu((least <= floor) & np.multiply.outer(some, some), 1)
    return [(int(i), int(j)) for j, i in np.argwhere(close.T)]


def rows_of(sizes: Mapping[str, int]) -> list[Row]:
    """Where each row of a matrix over several blocks stands."""
    return [(name, row) for name, size in sizes.items() for row in range(size)]


def named(pairs: Iterable[tuple[int, int]], rows: Sequence[Row], verb: str) -> list[Alike]:
    """Pairs of rows of a matrix by their blocks."""
    return [Alike(rows[i], rows[j], verb) for i, j in pairs]


def in_words(pairs: Sequence[Alike], place: Callable[[str, int], str] | None = None) -> str:
    """Up to ten pairs by block, how many more there are, and what to do.

    Parameters
    ----------
    pairs : sequence of Alike
        At least one.
    place : callable, optional
        How a row of a block is called, "row 3" by default.

    Returns
    -------
    str
        "block 'inputs': row 2 repeats row 0; row 3 repeats row 0; and 4 more pairs: remove one of each pair".
    """
    said, before = [], ""
    for pair in pairs[:MOST]:
        blocks = tuple(dict.fromkeys((pair.second[0], pair.first[0])))
        heading = f"block {blocks[0]!r}: " if len(blocks) == 1 else f"blocks {blocks[0]!r} and {blocks[1]!r}: "
        row, other = (place(*r) if place else f"row {r[1]}" for r in (pair.second, pair.first))
        said.append(f"{heading if heading != before else ''}{row} {pair.verb} {other}")
        before = heading
    if (left := len(pairs) - MOST) > 0:
        said.append(f"and {left} more pair{'s' if left > 1 else ''}")
    return f"{'; '.join(said)}: remove one of {'each pair' if len(pairs) > 1 else 'the two'}"


def singular_to_rounding(gram: Any, sizes: Mapping[str, int], least: float, verb: str = NEARLY) -> str:
    """What is said of a limit Gram matrix (n, n) over blocks of these sizes whose least eigenvalue is `least`."""
    rows = rows_of(sizes)
    if zeros := [rows[i] for i in np.flatnonzero(np.diag(np.asarray(gram, np.float64)) == 0)]:
        said = "; ".join(f"row {row} of {block!r}" for block, row in zeros[:MOST])
        return f"the limit Gram matrix is singular: no trained weight moves the residual of {said}; remove it."
    pairs = named(alike_rows(gram), rows, verb)
    cause = in_words(pairs) if pairs else "no two samples alone make it so; give fewer, or such that lie further apart"
    return f"the limit Gram matrix is singular to rounding (lambda_0 = {least:.1e}): {cause}."
