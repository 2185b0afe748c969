"""A theorem of a few lines whose claims are true, sharp, rounded, random or in need of their assumptions."""

import sys
import textwrap
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# a theorem module for the tests of certificates, half of whose claims are false
collect_ignore = ["claims_for_balls.py"]

MODULE = '''
    """Vectors with entries of modulus at most 1."""

    import numpy as np
    import sympy
    from hypothesis import strategies as st

    from ntkverify import Instance, Source, Theorem, always, with_probability
    from ntkverify.glossary import n
    from ntkverify.instances import generator
    from ntkverify.problems.algebra import AlgebraRun

    theorem = Theorem("Vectors", source=Source(), statement="$|x|^2 <= n$")
    theorem.quantity("n", lambda run: len(run.x))
    exact = theorem.quantity("exact", lambda run: run.x @ run.x)


    @theorem.assumption("entries at most 1")
    def bounded(run):
        return 1 - np.abs(run.x).max()


    @theorem.assumption("scale at most 2")
    def scaled(run):
        return 2 - run.scale


    @theorem.instances("vectors", run=AlgebraRun, quick=20)
    def vectors(draw):
        size = draw(st.integers(1, 6))
        reach = draw(st.integers(0, 1000)) / 1000
        x = reach * generator(draw).uniform(0.5, 1, size)
        return Instance(data={"x": x}, parameters={"scale": draw(st.sampled_from([0.5, 1.0, 2.0]))})


    @theorem.conclusion("squares sum to n at most", holds=always, bound=n, assumes=["entries at most 1"])
    def squares(run):
        return run.x @ run.x


    @theorem.lemma("the root squared is the square", holds=always, bound=exact, attained=True)
    def rounded(run):
        return np.sqrt(run.x @ run.x) ** 2


    @theorem.lemma("the scaled largest entry", holds=always, bound=2)
    def largest(run):
        return run.scale * np.abs(run.x).max()


    @theorem.lemma("rounds an enclosed number", holds=always, bound=3)
    def through_float(run):
        return float(np.abs(run.x).max())


    @theorem.lemma("a fair coin", holds=with_probability(sympy.Rational(2, 5)), bound=sympy.Rational(1, 2))
    def coin(run):
        return np.random.default_rng(run.instance.seed).random()


    @theorem.control("squares sum to a third of n", holds=always, bound=n / 3)
    def too_small(run):
        return run.x @ run.x
'''


@pytest.fixture(scope="session")
def vectors_source():
    return textwrap.dedent(MODULE)


@pytest.fixture
def module(tmp_path, vectors_source):
    path = tmp_path / "vectors.py"
    path.write_text(vectors_source)
    return path


@pytest.fixture
def theorem(module):
    from ntkverify import load_theorem

    return load_theorem(module)
