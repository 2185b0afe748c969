"""Symbols of bounds: a namesake with other assumptions, and a symbol that nobody answers for, are refused by name."""

import pytest
import sympy

from ntkverify import Instance, NtkVerifyError, Source, Theorem, always
from ntkverify.glossary import lambda_0, n
from ntkverify.judging.check import Check
from ntkverify.problems.algebra import AlgebraRun

size = sympy.Symbol("size", positive=True)


def theorem_with(bound, **instance):
    theorem = Theorem("T", source=Source(), statement="S")
    theorem.instances("some", run=AlgebraRun, quick=1)(lambda: Instance(**instance))
    theorem.conclusion("c", holds=always, bound=bound)(lambda run: 1)
    theorem.control("false", holds=always, bound=n)(lambda run: 1)
    return theorem


@pytest.mark.parametrize("other", [sympy.Symbol("n"), sympy.Symbol("n", positive=True)])
def test_a_namesake_is_refused(other):
    with pytest.raises(NtkVerifyError, match=r"claim 'c'.*second symbol called 'n'.*ntkverify\.glossary\.n"):
        theorem_with(n + other).validate()


def test_a_namesake_in_a_constant_is_refused():
    theorem = theorem_with(n)
    theorem.constant("c_1", sympy.Symbol("size") + size, "")
    with pytest.raises(NtkVerifyError, match=r"constant 'c_1'.*positive"):
        theorem.validate()


@pytest.mark.parametrize(
    "instance", [{"parameters": {"size": 1.0}}, {"data": {"size": [1.0]}}], ids=["a parameter", "data"]
)
def test_what_an_instance_carries_is_known(instance):
    Check(theorem_with(size * lambda_0, **instance)).refuse_unknown_symbols()


def test_quantities_constants_and_what_runs_measure_are_known():
    theorem = theorem_with(sympy.Symbol("made", positive=True) * sympy.Symbol("steps", positive=True))
    theorem.quantity("made", lambda run: 1)
    Check(theorem).refuse_unknown_symbols()


def test_an_unknown_symbol_is_refused_with_the_nearest_name():
    theorem = theorem_with(sympy.Symbol("sise", positive=True), parameters={"size": 1.0})
    line = theorem_with.__code__.co_firstlineno + 3
    said = rf"^test_symbols.py:{line}: the bound of claim 'c'.*'sise'.*runs of 'some'.*nearest.*'size'"
    with pytest.raises(NtkVerifyError, match=said):
        Check(theorem).refuse_unknown_symbols()


def test_collection_refuses_it(pytester):
    pytester.makepyfile(
        mine="""
        import sympy
        from ntkverify import Instance, Source, Theorem, always
        from ntkverify.problems.algebra import AlgebraRun

        theorem = Theorem("T", source=Source(), statement="S")
        theorem.instances("some", run=AlgebraRun, quick=1)(lambda: Instance(parameters={"size": 1.0}))
        theorem.conclusion("c", of="size", holds=always, bound=sympy.Symbol("sice", positive=True))
        theorem.control("false", of="size", holds=always, bound=0)
        """
    )
    result = pytester.runpytest("mine.py")
    result.stdout.fnmatch_lines(["*mine.py:7: the bound of claim 'c'*'sice'*nearest name*'size'*"])
    assert result.ret != 0
