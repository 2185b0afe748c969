"""Run a symbolic neuron: reference arrays, fused kernels for CPU and GPU, certified balls."""

from ntkverify.execution.backends import BACKENDS, make_executor
from ntkverify.execution.base import Executor
from ntkverify.execution.samples import Forward

__all__ = ["BACKENDS", "Executor", "Forward", "make_executor"]
