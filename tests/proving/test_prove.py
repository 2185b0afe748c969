"""`prove`: what is proved is true, what is false is refuted by a point that is certified."""

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Interval, Rational, Symbol, exp, log, oo, pi, sin, sqrt

from ntkverify.errors import NtkVerifyError
from ntkverify.proving import smt
from ntkverify.proving.files import write_proof
from ntkverify.proving.points import worst_of_samples
from ntkverify.proving.prove import decide, prove
from ntkverify.proving.question import question

A, B, X = sympy.symbols("a b x", positive=True)
T = Symbol("t", real=True)
HALF_LINE = Interval.open(0, oo)
THIRD = Rational(1, 3)
SUP_4 = sqrt(Rational(1, 2) - sqrt(105) / 30) * ((-28 - 4 * sqrt(105) / 5) * (Rational(1, 2) - sqrt(105) / 30) + 16)


def le(left, right):
    return sympy.Le(left, right, evaluate=False)


#: true and sharp: left <= right with equality somewhere, in the limit or at an end
SHARP = {
    "contraction": ((1 - B + 2 * A * (Rational(1, 2) - 1 / (2 * (1 + sqrt(1 - THIRD))))) ** 2, 1 - A,
                    {A: Interval.Lopen(0, THIRD), B: Interval.Lopen(0, 1)}, (B >= A,)),
    "sum of the steps": (2 * A / (1 - sqrt(1 - A)), 4, {A: Interval.Lopen(0, THIRD)}, ()),
    "contraction, natural": (((1 - A) + A * sqrt(1 - A) / (1 + sqrt(1 - A))) ** 2, 1 - A, {A: Interval.open(0, 1)}, ()),
    "second derivative of tanh": (sympy.Abs(2 * T**3 - 2 * T), 4 * sqrt(3) / 9, {T: Interval(-1, 1)}, ()),
    "fourth derivative of tanh": (sympy.Abs(24 * T**5 - 40 * T**3 + 16 * T), SUP_4, {T: Interval(-1, 1)}, ()),
    "two matrices": (A / (A**2 + B), 1 / (2 * sqrt(B)), {A: HALF_LINE, B: HALF_LINE}, ()),
    "density": (sympy.erf(X / sqrt(2)), sqrt(2 / pi) * X, {X: HALF_LINE}, ()),
    "Hoeffding": (2 * A * exp(-2 * (log(2 * A / B) / 2 + X)), B,
                  {A: Interval(1, oo), B: Interval.open(0, 1), X: HALF_LINE}, ()),
    "sine": (4 * X**2 / pi**2, sin(X) ** 2, {X: Interval.Lopen(0, pi / 2)}, ()),
    "logarithm": (log(1 + X), X, {X: HALF_LINE}, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARP)
class TestSharp:
    def test_it_is_proved(self, name):
        left, right, box, conditions = SHARP[name]
        assert prove(le(left, right), box, given=conditions).status == "proved"

    def test_a_threshold_that_is_too_large_is_refuted_by_a_point(self, name):
        left, right, box, conditions = SHARP[name]
        asked = question(le(left * (1 + Rational(1, 10**6)), right), box, conditions)
        proof = decide(asked)
        assert proof.status == "refuted"
        assert fails_at(asked, proof.refutation.point)

    def test_a_wrong_exponent_is_refuted(self, name):
        left, right, box, conditions = SHARP[name]
        # a square root is more than what is below 1, and a square more than what is above
        for power in (Rational(1, 2), 2):
            asked = question(le(left**power, right), box, conditions)
            proof = decide(asked)
            assert proof.status != "proved" or worst_of_samples(asked, 512)[1] is None
            if proof.status == "refuted":
                assert fails_at(asked, proof.refutation.point)


def fails_at(asked, point):
    """With 60 digits: within the box and the side conditions, and the inequality fails."""
    inside = all(interval.contains(point[symbol]) == sympy.true for symbol, interval in asked.box)
    conditions = all(bool(condition.subs(point)) for condition in asked.given)
    gap = sympy.N(asked.gap.subs(point), 60)
    return inside and conditions and (gap <= 0 if asked.strict else gap < 0)


@pytest.mark.parametrize(
    ("left", "right", "box"),
    [
        (sympy.Abs(2 * T**3 - 2 * T), 4 * sqrt(3) / 9, {T: Interval(-1, 1)}),
        (T * (1 - T), Rational(1, 4), {T: Interval(0, 1)}),
        (sin(X) ** 2, 1, {X: Interval(1, pi / 2)}),
        (2 * A, 1 + A**2, {A: Interval(Rational(1, 2), 2)}),
    ],
)
def test_a_strict_inequality_is_refuted_where_both_sides_are_equal(left, right, box):
    proof = prove(sympy.Lt(left, right, evaluate=False), box)
    assert proof.status == "refuted"
    assert proof.refutation.excess == 0
    assert prove(le(left, right), box).status == "proved"


def test_equality_at_an_end_that_is_left_out_refutes_nothing():
    assert prove(sympy.Lt(2 * A, 1 + A**2, evaluate=False), {A: Interval.open(0, 1)}).status == "proved"
    assert prove(sympy.Lt(2 * A, 1 + A**2, evaluate=False), {A: Interval.Lopen(0, 1)}).status == "refuted"


@pytest.mark.parametrize(
    ("left", "box"),
    [(sqrt(T - 1), {T: Interval(0, 2)}), (1 / T, {T: Interval(-1, -Rational(0))}), (log(T), {T: Interval(-1, 1)})],
)
def test_what_is_not_defined_everywhere_is_not_proved(left, box):
    """z3 by itself would let a root of a negative number be anything, and be content."""
    assert prove(le(left, 100), box).status == "open"


def test_a_whole_number_is_refuted_by_whole_numbers_alone():
    """n^2 >= n fails between 0 and 1, where there is no whole number."""
    whole = Symbol("n", integer=True)
    assert prove(le(whole, whole**2), {whole: Interval(0, 10)}).status == "open"
    assert prove(le(whole**2, whole), {whole: Interval(0, 10)}).status == "refuted"


@pytest.mark.parametrize(
    ("inequality", "box", "said"),
    [
        (A <= B, {A: HALF_LINE}, "the symbol b"),
        (A <= 1, {A: Interval(0, 1)}, "declared positive"),
        (sympy.Float(0.3) >= A, {A: HALF_LINE}, "rounded number"),
        (sympy.Eq(A, 1), {A: HALF_LINE}, "needs an inequality"),
        (A <= 1, {A: sympy.FiniteSet(1)}, "must be a sympy.Interval"),
        (A + Symbol("a") <= 1, {A: HALF_LINE, Symbol("a"): Interval(0, 1)}, "two symbols"),
        (Symbol("n", negative=True) <= 1, {Symbol("n", negative=True): Interval(-1, 0)}, "declared negative"),
    ],
)
def test_bad_input_is_one_sentence(inequality, box, said):
    with pytest.raises(NtkVerifyError, match=said):
        prove(inequality, box)


MOVED = st.integers(-(10**6), 10**6).filter(lambda number: abs(number) >= 10).map(lambda n: Rational(n, 10**7))


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(name=st.sampled_from(sorted(SHARP)), moved=MOVED, additive=st.booleans())
def test_moved_constants_agree_with_fifty_digits(name, moved, additive):
    """A bound that is moved: never proved where a sample fails, and refuted only at points that fail."""
    left, right, box, conditions = SHARP[name]
    asked = question(le(left, right + moved if additive else right * (1 + moved)), box, conditions)
    proof = decide(asked)
    _, failing, _ = worst_of_samples(asked, 128)
    assert proof.status != "proved" or failing is None
    if moved < 0:
        assert proof.status != "proved"
    if proof.refutation:
        assert fails_at(asked, proof.refutation.point)


@pytest.mark.parametrize("name", ["contraction", "sum of the steps", "fourth derivative of tanh", "Hoeffding"])
def test_answers_are_the_same_again_and_say_how(name, monkeypatch, tmp_path):
    left, right, box, conditions = SHARP[name]
    monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path))
    first = prove(le(left, right), box, given=conditions)
    monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path / "other"))
    assert prove(le(left, right), box, given=conditions) == first
    assert "z3" in first.how or "signs" in first.how


def test_constants_that_are_not_algebraic_are_between_two_rationals():
    text = smt.text_of(question(le(pi * A, 4), {A: Interval.Lopen(0, 1)}))
    low, high = mpmath.mpf(314159) / 100000, mpmath.mpf(314160) / 100000
    assert low < mpmath.pi < high
    assert text.count("(declare-fun") == 2
    assert prove(le(pi * A, 4), {A: Interval.Lopen(0, 1)}).status == "proved"
    assert prove(le(pi * A, 3), {A: Interval.Lopen(0, 1)}).status == "refuted"


def test_a_proof_is_a_file(tmp_path):
    proof = prove(le(A, 1), {A: Interval.Lopen(0, 1)})
    path = write_proof(proof, tmp_path / "theorem", "a <= 1, always")
    assert path.suffix == ".smt2"
    assert path.read_text().startswith("; a <= 1, always\n; proved: z3")
    (tmp_path / "file").write_text("")
    with pytest.raises(NtkVerifyError, match="can't be written"):
        write_proof(proof, tmp_path / "file" / "theorem", "a")
