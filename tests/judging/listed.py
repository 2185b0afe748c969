"""Draws that are written down: what each run measures, by data set and seed."""

import math

import numpy as np

from ntkverify import Instance
from ntkverify.judging.budget import Budget
from ntkverify.judging.case import Case
from ntkverify.judging.draws import Draws, FamilyDraws
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.theorem.parts import Family


class _Stream:
    def __init__(self, is_fixed):
        self.is_fixed = is_fixed


class ListedRuns:
    """Stands for `Runs`: `make(data, seed)` gives the run."""

    def __init__(self, make, *, is_fixed, observed="", name="runs"):
        self.family = Family(name, lambda: None, AlgebraRun, {}, observed)
        self.stream = _Stream(is_fixed)
        self.run = make


def algebra(theorem, value, *, width=1, limit=1.0, which=0):
    data = {"values": np.atleast_1d(value), "which": [float(which)]}
    return AlgebraRun(Instance(data=data, parameters={"bound": limit}, width=int(width)), theorem)


def draws_of(theorem, claim, runs, *, observed=""):
    """One data set whose seeds give the runs of a list, and no more."""
    listed = ListedRuns(lambda data, seed: runs[seed], is_fixed=True, observed=observed)
    case, budget = Case(theorem, claim, listed.family), Budget(1, len(runs), math.inf)
    return Draws([_Listed(case, listed, len(runs), budget)], is_control=claim.kind == "control")


class _Listed(FamilyDraws):
    """Nothing is drawn beyond the list."""

    def allow(self, delta):
        """Not even to decide a claim."""

    def allow_afresh(self, delta):
        """Nor of the worst data."""

    def allow_more(self, delta):
        """Nor after a failure."""


def endless(theorem, claim, make, *, count=1, budget, is_fixed=False, **options):
    """Draws that `make(data, seed)` measures, as many as the budget allows."""
    listed = ListedRuns(make, is_fixed=is_fixed, **options)
    return Draws(
        [FamilyDraws(Case(theorem, claim, listed.family), listed, count, budget)], is_control=claim.kind == "control"
    )
