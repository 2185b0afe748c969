"""Started on every rank by test_mpi: trains a sharded network, writes its share, and dies where it is told to."""

import argparse
import os
import signal
from pathlib import Path

import numpy as np

from ntkverify import NtkVerifyError
from ntkverify.execution.sharded import make_sharded, together
from ntkverify.symbolic.network.neuron import regression_neuron
from ntkverify.training import Checkpoint, GradientDescent, follow

POINTS, TARGETS = np.array([[0.6, 0.8], [-0.28, 0.96]]), np.array([0.3, -0.7])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=70_001)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--backend", default="array")
    parser.add_argument("--checkpoints")
    parser.add_argument("--out", required=True)
    parser.add_argument("--kill", type=int, nargs=2, metavar=("RANK", "STEP"))
    parser.add_argument("--fail", type=int, metavar="RANK")
    given = parser.parse_args()
    neuron = regression_neuron("relu", dimension=2)
    executor = make_sharded(neuron, {"data": POINTS}, {"data": TARGETS}, width=given.width, backend=given.backend)

    def watch(at):
        if given.kill and (executor.rank, at.step) == tuple(given.kill):
            os.kill(os.getpid(), signal.SIGKILL)
        if given.fail == executor.rank and at.step == 2:
            raise NtkVerifyError("this one has enough.")
        return at.step

    found = follow(
        executor, *executor.draw(7), GradientDescent(0.5), steps=given.steps, record={"step": watch}, in_place=True,
        checkpoint=Checkpoint(given.checkpoints, every=2) if given.checkpoints else None,
    )  # fmt: skip
    np.savez(Path(given.out) / f"{executor.rank}.npz", residuals=found.residuals, weights=found.weights)


if __name__ == "__main__":
    with together():
        main()
