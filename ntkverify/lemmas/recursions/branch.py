"""The solutions of an implicit step of every length, w(s) = w - s J(w(s))^T r(w(s)), are one branch from w(0) = w on.

The derivative in w(s) of w(s) + s grad L(w(s)) is I + s (J^T J + sum_i r_i Hess r_i). A Jacobian with
||J(w) - J(w')|| <= slope |w - w'| has |v . sum_i r_i Hess r_i v| = |r . (DJ[v] v)| <= slope ||r|| |v|^2, and
J^T J >= 0: the derivative is at least 1 - slope s ||r(w(s))||, of which slope eta ||r|| <= q leaves 1 - q for every s
up to eta. So the branch exists and is unique, as long as it stays where slope is one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st

from ntkverify import always
from ntkverify.instances import generator
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

SECOND, pushed = "second derivatives", sympy.Symbol("pushed", positive=True)
NAME = "I + s (J^T J + sum_i r_i Hess r_i) >= 1 - slope s ||r||"


def branch(theorem: Theorem, *, most: sympy.Expr) -> tuple[str, str]:
    """What lets the branch be followed while slope s ||r|| is at most `most`; returns the names of both lemmas."""
    theorem.instances(SECOND, run=AlgebraRun, quick=60)(lambda draw: _tensors(draw, float(most)))
    claim: dict[str, Any] = {"of": _least, "holds": always, "from_below": True, "assumes": (), "on": SECOND}
    claim |= {"error": lambda run: 64 * ULP * (1 + run.size), "given": _premises}
    theorem.lemma(NAME, bound=1 - pushed, attained=True, **claim)
    theorem.control("the same with half the slope", bound=1 - pushed / 2, **claim)
    left = f"1 - slope s ||r|| >= {1 - most} for slope s ||r|| <= {most}: the branch can be followed"
    theorem.lemma(
        left,
        of=1 - pushed,
        holds=always,
        bound=1 - most,
        from_below=True,
        over={pushed: sympy.Interval.Lopen(0, most)},
        attained=True,
    )
    return NAME, left


def _tensors(draw: Any, most: float) -> Instance:
    """Fewer residuals than weights, so that J^T J is singular; Hessians at random, or one matrix times a vector.

    The latter reach the slope: along the lowest eigenvector v, in the kernel of J, where r is along that vector.
    """
    rng, n = generator(draw), draw(st.integers(1, 3))
    p = n + draw(st.integers(1, 3))
    rows, vector = rng.standard_normal((n, p)), rng.standard_normal(n)
    hessians = rng.standard_normal((n, p, p))
    hessians = hessians + hessians.transpose(0, 2, 1)
    if draw(st.booleans()):
        lowest = np.linalg.qr(rows.T, mode="complete")[0][:, -1]
        hessians = -vector[:, None, None] * np.outer(lowest, lowest)
    slope = np.linalg.norm(hessians.reshape(n * p, p), 2)
    share, length = draw(st.sampled_from([most / 10, most])), draw(st.sampled_from([0.01, 1.0, 1e4]))
    hessians = hessians * share / (slope * length * np.linalg.norm(vector))
    rows = rows * draw(st.sampled_from([0.1, 1.0])) / np.sqrt(length)
    data = {"rows": rows, "vector": vector, "hessians": hessians.reshape(n * p, p)}
    size = float(length * np.square(rows).sum())
    return Instance(data=data, parameters={"pushed": share, "length": length, "size": size})


def _least(run: Any) -> Any:
    """The least eigenvalue of I + s (J^T J + sum_i r_i Hess r_i)."""
    n, p = run.rows.shape
    weighted = sum(run.vector[i] * run.hessians[i * p : (i + 1) * p] for i in range(n))
    return np.linalg.eigvalsh(np.eye(p) + run.length * (run.rows.T @ run.rows + weighted))[0]


def _premises(run: Any) -> Any:
    """slope s ||r|| is what the instance says, the slope being sup |DJ[v]|_F over unit v at most."""
    return run.length * np.linalg.norm(run.hessians, 2) * np.linalg.norm(run.vector) <= run.pushed * (1 + 2**10 * ULP)
