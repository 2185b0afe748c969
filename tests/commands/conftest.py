"""A folder with theorems that take no time, for commands to be tried on."""

import textwrap

import pytest

SMALL = '''
    """A theorem whose conclusion begins to hold at eight neurons."""

    import numpy as np
    from hypothesis import strategies as st
    import sympy
    from ntkverify import Instance, Source, Theorem, always, with_probability
    from ntkverify.glossary import m, n
    from ntkverify.problems.algebra import AlgebraRun

    theorem = Theorem("Small", source=Source(), statement=r"$|x|^2 \\le n$ and $8/m \\le 1$.")
    theorem.quantity("n", lambda run: len(run.x))


    @theorem.assumption("entries at most 1")
    def bounded(run):
        return 1 - np.abs(run.x).max()


    @theorem.assumption("width at least 8")
    def wide(run):
        return run.m - 8


    @theorem.instances("vectors", run=AlgebraRun, quick=20)
    def vectors(draw):
        size = draw(st.integers(1, 4))
        x = [draw(st.integers(0, 1000)) / 1000 for _ in range(size)]
        return Instance(data={"x": x}, width=draw(st.sampled_from([8, 64])))


    @theorem.instances("bare", run=AlgebraRun, quick=3)
    def bare():
        return Instance(data={"x": [0.5]}, width=8)


    DATA = {"holds": always, "assumes": "entries at most 1", "on": "vectors"}


    @theorem.lemma("squares sum to n at most", bound=n, **DATA)
    def squares(run):
        return run.x @ run.x


    @theorem.lemma("rounds an enclosed number", bound=1, **DATA)
    def through_float(run):
        return float(np.abs(run.x).max())


    @theorem.lemma("a fair coin", holds=with_probability(sympy.Rational(2, 5)), bound=sympy.Rational(1, 2), on="bare")
    def coin(run):
        return np.random.default_rng(run.instance.seed).random()


    @theorem.conclusion("eight over m is at most one", holds=always, bound=1, on="vectors")
    def narrow(run):
        return 8 / run.m


    @theorem.control("squares sum to a third of n", bound=n / 3, **DATA)
    def too_small(run):
        return run.x @ run.x
'''


@pytest.fixture(scope="session")
def small_source():
    return textwrap.dedent(SMALL).lstrip()


@pytest.fixture
def here(tmp_path, monkeypatch, small_source):
    """An empty folder, in which commands are run, with `small.py` in its folder theorems/."""
    (tmp_path / "theorems").mkdir()
    (tmp_path / "theorems" / "small.py").write_text(small_source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def call(here, capsys):
    """Runs a command in the folder; returns its exit status, its output and its error stream."""
    from ntkverify.cli import main

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run
