"""Every evaluation of a claim as a line of JSON, in the format of Hypothesis' observability.

See https://hypothesis.readthedocs.io/en/latest/reference/integrations.html: tools that read test cases of Hypothesis
read these. An evaluation is a ``test_case``: ``property`` is the claim, ``gave_up`` means vacuous, and ``features`` has
the margin past the bound, the margin of every assumption, the width and the number of samples.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Trial

Observe = Callable[[Trial], None]


def observation(trial: Trial, *, started: float) -> dict[str, Any]:
    """One evaluation, ready for JSON.

    Parameters
    ----------
    trial : Trial
        A claim put to one run.
    started : float
        When the check began, in seconds since 1970: Hypothesis' ``run_start``.
    """
    case, outcome, instance = trial.case, trial.outcome, trial.run.instance
    margins = {f"margin of {a.name}": _number(_margin(trial, a)) for a in case.assumptions}
    status = "gave_up" if outcome.vacuous else "failed" if outcome.failed else "passed"
    features = {
        "margin": _number(outcome.margin),
        "slack": _number(outcome.slack),
        **margins,
        "width": instance.width,
        "n": _samples(trial.run),
        "family": case.family.name,
        "kind": case.claim.kind,
    }
    return {
        "type": "test_case",
        "run_start": started,
        "property": f"{case.theorem.id or case.theorem.title}: {case.claim.name}",
        "status": status,
        "status_reason": outcome.unmet,
        "representation": f"{case.family.name}: {instance.width} neurons, seed {instance.seed}",
        "arguments": {"parameters": {name: _number(value) for name, value in instance.parameters.items()}},
        "how_generated": "drawn by ntkverify",
        "features": features,
        "coverage": None,
        "timing": {},
        "metadata": {"step": _number(instance.step), "steps": instance.steps, "seed": str(instance.seed)},
    }


def writer(path: str | Path) -> Observe:
    """Appends every evaluation to a file; a line is one write, so that processes may share the file.

    Raises
    ------
    NtkVerifyError
        If the file can't be written.
    """
    started = time.time()

    def observe(trial: Trial) -> None:
        line = json.dumps(observation(trial, started=started)) + "\n"
        try:
            with open(path, "ab", buffering=0) as stream:
                stream.write(line.encode())
        except OSError as error:
            raise NtkVerifyError(f"--observe {path}: the file can't be written ({error.strerror}).") from None

    return observe


def _margin(trial: Trial, assumption: Any) -> float:
    """Margin of an assumption; NaN where one that is missed before leaves it without a meaning."""
    try:
        return trial.margin(assumption)
    except NtkVerifyError:
        if trial.outcome.unmet:
            return math.nan
        raise


def _samples(run: Any) -> int | None:
    """How many samples a run has; None where it has none."""
    try:
        return int(run.n)
    except (AttributeError, NtkVerifyError, TypeError):
        return None


def _number(value: Any) -> Any:
    """A number as JSON has it: null where it is not finite."""
    found = np.asarray(value)
    if found.shape != () or found.dtype.kind not in "iuf":
        return str(value)
    return (
        float(found)
        if np.isfinite(found) and found.dtype.kind == "f"
        else int(found)
        if found.dtype.kind in "iu"
        else None
    )
