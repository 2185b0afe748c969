"""Train a problem: gradient flow and descent, natural gradient, Levenberg-Marquardt, and two baselines."""

from ntkverify.training.methods.first_order import adam, gradient_descent, gradient_flow, lbfgs
from ntkverify.training.methods.second_order import (
    LeastNorm,
    gauss_newton_flow,
    least_norm,
    levenberg_marquardt,
    natural_gradient_descent,
)
from ntkverify.training.record import Measurements, Snapshot, Trajectory

__all__ = [
    "LeastNorm",
    "Measurements",
    "Snapshot",
    "Trajectory",
    "adam",
    "gauss_newton_flow",
    "gradient_descent",
    "gradient_flow",
    "lbfgs",
    "least_norm",
    "levenberg_marquardt",
    "natural_gradient_descent",
]
