"""Spectra and predicted losses as a figure; matplotlib is an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ntkverify.errors import NtkVerifyError

if TYPE_CHECKING:
    from ntkverify.diagnosis.diagnose import Diagnosis


def diagnosis_figure(diagnosis: Diagnosis, *, train: bool) -> Any:
    """Both spectra, and the loss over the steps as the kernel at the start predicts it.

    Raises
    ------
    NtkVerifyError
        Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise NtkVerifyError(
            "a figure needs matplotlib, which is not installed: pip install 'ntkverify[report]'."
        ) from None
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for spectrum, mark in ((diagnosis.limit, "o"), (diagnosis.initial, "+")):
        modes = np.arange(1, len(spectrum.eigenvalues) + 1)
        left.plot(modes, np.maximum(spectrum.eigenvalues, 0), mark, label=spectrum.name)
        left.axhline(spectrum.error, color="0.8", lw=0.8)
    left.set(xlabel="mode", ylabel="eigenvalue (grey: rounding)", yscale="log", title=diagnosis.problem.name)
    # a mode is learned in K steps where eta lambda K exceeds log 100
    if diagnosis.initial.is_stable(diagnosis.step):
        left.axhline(np.log(100) / (diagnosis.step * diagnosis.steps), color="k", ls=":", label="learned above")
    left.legend(fontsize=8)
    steps = np.unique(np.geomspace(1, diagnosis.steps + 1, 200).astype(int)) - 1
    predicted = diagnosis.predicted_losses()
    right.plot(steps + 1, predicted[steps], "k-", label="linearised")
    if train:
        losses = diagnosis.train().losses
        right.plot(steps + 1, losses[steps], "r--", label="trained")
    right.set(xlabel="step + 1", ylabel="loss", xscale="log", yscale="log", title=f"step {diagnosis.step:.3g}")
    right.legend(fontsize=8)
    return figure
