"""Train a problem: gradient flow and descent, natural gradient, Levenberg-Marquardt, and two baselines."""

from ntkverify.measures.snapshot import Snapshot
from ntkverify.training.checkpoint import Checkpoint
from ntkverify.training.least_norm import CHOLESKY_LIMIT, SOLVERS, LeastNorm, dense_least_norm, least_norm
from ntkverify.training.loop import Method, Stopped, follow
from ntkverify.training.methods.baselines import lbfgs
from ntkverify.training.methods.first_order import (
    Adam,
    GradientDescent,
    HeavyBall,
    ImplicitGradient,
    StochasticGradient,
    adam,
    gradient_descent,
)
from ntkverify.training.methods.flows import gauss_newton_flow, gradient_flow
from ntkverify.training.methods.second_order import (
    LevenbergMarquardt,
    NaturalGradient,
    levenberg_marquardt,
    natural_gradient_descent,
)
from ntkverify.training.record import Measurements, Trajectory

__all__ = [
    "CHOLESKY_LIMIT",
    "SOLVERS",
    "Adam",
    "Checkpoint",
    "GradientDescent",
    "HeavyBall",
    "ImplicitGradient",
    "LeastNorm",
    "LevenbergMarquardt",
    "Measurements",
    "Method",
    "NaturalGradient",
    "Snapshot",
    "StochasticGradient",
    "Stopped",
    "Trajectory",
    "adam",
    "dense_least_norm",
    "follow",
    "gauss_newton_flow",
    "gradient_descent",
    "gradient_flow",
    "lbfgs",
    "least_norm",
    "levenberg_marquardt",
    "natural_gradient_descent",
]
