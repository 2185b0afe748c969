"""Instances that a family draws, small enough for balls."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from ntkverify import load_theorem
from ntkverify.search.space.coordinates import GRID, Space

FOLDER = Path(__file__).parents[2] / "theorems/natural_gradient"
#: loads a theorem that is only read, once in a process
loaded = functools.cache(load_theorem)


def small_instance(name, family, *, width=6, steps=2, seed=0):
    """A theorem, one of its families and an instance of it with few neurons."""
    (path,) = FOLDER.parent.glob(f"*/{name}.py")
    theorem = loaded(path)
    space = Space(theorem.families[family], theorem.id)
    rng = np.random.default_rng(seed)
    found = space.instance(rng.integers(0, GRID, space.dimension).tolist())
    return (
        theorem,
        theorem.families[family],
        replace(found, width=min(found.width, width), steps=min(found.steps, steps)),
    )
