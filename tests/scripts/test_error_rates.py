"""The chances that a true claim stays open and that a control stays unrefuted, as the docs state them."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from error_rates import fate, table  # noqa: E402

from ntkverify.judging.budget import BUDGETS  # noqa: E402
from ntkverify.judging.rates import log_excess, log_exclusion  # noqa: E402

MOST = BUDGETS["quick"].draws


def test_a_true_claim_with_room_to_spare_is_confirmed_and_a_control_refuted():
    for rate in (0.0, 0.025, 0.05, 0.07):
        assert fate(0.1, rate, MOST).confirmed > 1 - 1e-4
    for rate in (0.2, 0.3, 1.0):
        assert fate(0.1, rate, MOST).undecided < 1e-4
        assert fate(0.1, rate, MOST).confirmed < 0.01
    assert fate(0.1, 0.1, MOST).refuted < 1e-7
    assert fate(0.1, 0.125, MOST).confirmed < 0.01


def test_the_calculation_is_what_draws_do():
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(300):
        failures = np.cumsum(rng.random(400) < 0.3)
        ends.append(400)
        for draws, seen in enumerate(failures, 1):
            refuted = log_excess(int(seen), draws, 0.1) >= np.log(2e7)
            confirmed = seen <= 0.1 * draws and log_exclusion(int(seen), draws, 0.125) >= np.log(100)
            if refuted or confirmed:
                ends[-1] = draws
                break
    found = fate(0.1, 0.3, 400)
    # the mean of 300 lies within five of its standard errors
    assert np.mean(ends) == pytest.approx(found.draws, abs=5 * np.std(ends) / 300**0.5)


@pytest.mark.exhaustive
def test_the_docs_state_what_is_computed():
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in text
