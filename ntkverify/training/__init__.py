"""Train a problem: gradient flow and descent, natural gradient, Levenberg-Marquardt, and two baselines."""

from ntkverify.training.least_norm import CHOLESKY_LIMIT, SOLVERS, LeastNorm, dense_least_norm, least_norm
from ntkverify.training.methods.baselines import adam, lbfgs
from ntkverify.training.methods.first_order import gradient_descent
from ntkverify.training.methods.flows import gauss_newton_flow, gradient_flow
from ntkverify.training.methods.second_order import levenberg_marquardt, natural_gradient_descent
from ntkverify.training.record import Measurements, Snapshot, Trajectory

__all__ = [
    "CHOLESKY_LIMIT",
    "SOLVERS",
    "LeastNorm",
    "Measurements",
    "Snapshot",
    "Trajectory",
    "adam",
    "dense_least_norm",
    "gauss_newton_flow",
    "gradient_descent",
    "gradient_flow",
    "lbfgs",
    "least_norm",
    "levenberg_marquardt",
    "natural_gradient_descent",
]
