r"""A physics-informed shallow neural operator: one network solves the heat equation for several right-hand sides.

Network     G(u)(y) = m^(-1/2) sum_r b_r(u) relu(w_r . (y, 1))^3,  b_r(u) = p^(-1/2) sum_k s_rk relu(v_rk . u)
Residuals   r = ((d_t - Lap) G(u_i)(y_j) - f_ij)/sqrt(n_2) inside, (G(u_i)(y_j) - g_ij)/sqrt(n_3) at start and sides
Method      gradient descent on both sets of weights
Guarantee   L(k) <= (1 - eta Lambda/2)^k L(0) for all k, Lambda = lambda_min(H^inf) + lambda_min(H~^inf)  (upper)
Hypotheses  no two u_i parallel, no two samples of a block coincide; eta <= 2/(3 (||H^inf|| + ||H~^inf||)); as long as
            lambda_min(H(k) + H~(k)) >= Lambda/2, eta ||H(k) + H~(k)|| <= 1, ||I_1(k)|| <= epsilon Lambda eta ||r(k)||

H^inf = K_1(u) (x) H_PINN, H~^inf = K_0(u) (x) Z: H_PINN is the limit of the physics-informed network with the same trunk,
Z the second moments of what the operator makes of its features. Both traces grow with n_1 and the dimension alone, and
not with the numbers n_2, n_3 of points, which the normalisation is for. Later versions of arXiv 2412.05545 have this
problem (abstract); setting and rate are reconstructed, the limits derived. A width that is sufficient has the weights to
the twelfth power or more and is of no use; hypotheses are measured, and 16384 neurons grant them for what stands apart.
"""

import functools
from dataclasses import replace

import numpy as np
import sympy
from hypothesis import strategies as st
from sympy import Rational

from ntkverify import Instance, Source, Theorem, always, identity, scales_as
from ntkverify.glossary import m
from ntkverify.instances import SEPARATED, families, generator, space_time_points, unit_inputs
from ntkverify.lemmas import gradient_descent, operators, premises
from ntkverify.lemmas.operators import Lambda, norm_sum
from ntkverify.lemmas.rounding import ULP
from ntkverify.problems.operator import operator
from ntkverify.problems.pinn import heat_equation

theorem = Theorem(
    "Gradient descent of a physics-informed shallow neural operator",
    source=Source(arxiv="2412.05545", version=3, where="abstract (physics-informed)", provenance="reconstructed"),
    statement=r"""
        Let no two $u_i$ be parallel, no two samples of a block coincide and
        $0 < \eta \le 2/(3(\|H^\infty\|_2 + \|\tilde H^\infty\|_2))$. As long as
        $\lambda_{\min}(H(k) + \tilde H(k)) \ge \Lambda/2$, $\eta\|H(k) + \tilde H(k)\| \le 1$ and
        $\|I_1(k)\| \le \epsilon\Lambda\eta\|r(k)\|$: $L(k) \le (1-\eta\Lambda/2)^k L(0)$.
    """,
)

descent = gradient_descent.GradientDescent(theorem, rate=Lambda, norm=norm_sum, said=operators.WORDS)
premises.step_at_most(theorem, "step at most 2/(3 (||H^inf|| + ||H~^inf||))", descent.eta_max)


@theorem.assumption("no two functions parallel, samples of a block distinct")
def distinct(run):
    return run.Lambda


DATA = ("no two functions parallel, samples of a block distinct",)
