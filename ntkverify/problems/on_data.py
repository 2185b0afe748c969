"""Instances of a theorem on given data: step, width and number of steps by the roles that it declares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from ntkverify.errors import NtkVerifyError
from ntkverify.glossary import lambda_0, limit_norm, n
from ntkverify.problems.regression import least_eigenvalue, limit_gram_matrix
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem


def steps_until(factor: float, step: float, rate: float) -> int:
    """Steps after which the linearised loss has dropped by `factor`, and one more; a dozen if it never does."""
    left = abs(1 - step * rate)
    return math.ceil(math.log(factor) / (2 * math.log(left))) + 1 if 0 < left < 1 else 12


def regression_instance(
    theorem: Theorem,
    inputs: Any,
    targets: Any,
    *,
    width: int | None = None,
    split: Mapping[sympy.Symbol, Any] | None = None,
    fraction: float = 1.0,
    steps: int | None = None,
    **parameters: float,
) -> Instance:
    """An instance of a theorem on two-layer ReLU regression.

    Parameters
    ----------
    theorem : Theorem
        Declares its largest step and, if no width is given, its sufficient width.
    inputs, targets : array_like, shapes (n, d) and (n,)
        The data.
    width : int, optional
        Number of neurons; the theorem's own for these data by default.
    split : mapping of sympy.Symbol to number, optional
        Exact values of the theorem's free parameters.
    fraction : float
        Of the largest step.
    steps : int, optional
        Until the linearised loss has dropped to 1e-10 by default.
    **parameters : float
        The theorem's other parameters; ``alpha`` is the scale of the output.
    """
    roles = theorem.roles
    if roles.largest_step is None or (width is None and roles.width is None):
        raise NtkVerifyError(
            f"theorem {theorem.title!r} declares no largest step or no sufficient width; use theorem.declare(...)."
        )
    gram, split = parameters.get("alpha", 1.0) ** 2 * limit_gram_matrix(inputs), split or {}
    least, norm = least_eigenvalue(gram), float(np.linalg.norm(gram, 2))
    named = {sympy.Symbol(name, positive=True): value for name, value in parameters.items()}
    values = {n: len(inputs), lambda_0: least, limit_norm: norm, **named, **split}
    step = fraction * float(theorem.value(roles.largest_step, values))
    return Instance(
        data={"inputs": inputs, "targets": targets},
        parameters={**parameters, **{symbol.name: float(share) for symbol, share in split.items()}},
        width=math.ceil(theorem.value(roles.width, values)) if width is None else width,
        step=step,
        steps=steps_until(1e-10, step, least) if steps is None else steps,
    )
