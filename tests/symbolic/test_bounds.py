"""Chains of inequalities: closed forms, fixed points, optimal splits, and refusals."""

import pytest
import sympy
from sympy import Rational, exp, log, sqrt

from ntkverify import NtkVerifyError
from ntkverify.symbolic.constants.chain import Chain, Requirement, derived, solve_for

m, n, x, y, delta = sympy.symbols("m n x y delta", positive=True)


class TestSolveFor:
    @pytest.mark.parametrize(
        ("inequality", "symbol", "solution"),
        [
            (sympy.Le(4 * n * x, y), x, y / (4 * n)),
            (sympy.Le(n * exp(-m * x), delta), m, log(n / delta) / x),
            (sympy.Le(n / sqrt(m), x), m, n**2 / x**2),
            (sympy.Le(x**2, n), x, sqrt(n)),
        ],
    )
    def test_closed_forms(self, inequality, symbol, solution):
        found = solve_for(symbol, inequality)
        assert sympy.simplify(found.expression - solution) == 0
        assert found.steps[0][1] == inequality

    def test_no_unique_solution(self):
        with pytest.raises(NtkVerifyError, match="no unique closed-form solution"):
            solve_for(x, sympy.Le(x + exp(x), n))

    def test_derivations_concatenate_and_print(self):
        first = solve_for(x, sympy.Le(2 * x, n))
        second = derived(first.expression * 3, "three times", first)
        assert second.text().splitlines()[-1] == "three times: 3*n/2"
        assert r"\frac{3 n}{2}" in second.latex()
        assert len(second.steps) == 3


def two_shares():
    """m >= 1/x^2 and m >= 4/y^2 with x + y <= 1: the optimum of max(1/x^2, 4/y^2) is 9, at x = 1/3, y = 2/3."""
    return Chain(
        m,
        [
            Requirement("first", 1 / sqrt(m), x, ""),
            Requirement("second", 2 / sqrt(m), y, ""),
            Requirement("shares", x + y, 1, ""),
        ],
        free=(x, y),
    )


class TestChain:
    def test_thresholds_and_sufficient_width(self):
        chain = two_shares()
        assert chain.thresholds == {"first": x**-2, "second": 4 * y**-2}
        found = chain.sufficient()
        assert found.expression == sympy.Max(x**-2, 4 * y**-2)
        assert "second ()" in found.text()

    def test_width_is_the_least_integer_that_satisfies_everything(self):
        chain = two_shares()
        split = chain.width({x: Rational(1, 2), y: Rational(1, 2)})
        assert (split.width, split.binding) == (16, "second")
        assert chain.violated({m: 16, x: Rational(1, 2), y: Rational(1, 2)}) == []
        assert chain.violated({m: 15, x: Rational(1, 2), y: Rational(1, 2)}) == ["second"]

    def test_minimise_finds_the_known_optimum(self):
        start = {x: Rational(1, 2), y: Rational(1, 2)}
        split = two_shares().minimise({}, start=start)
        # the optimum is 9; shares are rounded to four digits, which costs less than one in a thousand
        assert split.width in (9, 10)
        assert sum(split.shares.values()) <= 1
        assert all(value.is_Rational for value in split.shares.values())

    def test_minimise_is_never_worse_than_its_start(self):
        start = {x: Rational(1, 3), y: Rational(2, 3)}
        assert two_shares().minimise({}, start=start).width <= two_shares().width(start).width == 9

    def test_a_fixed_point_with_the_unknown_on_both_sides(self):
        chain = Chain(m, [Requirement("log", 10 * log(m) ** 2, m, "")])
        assert chain.thresholds == {"log": None}
        width = chain.width({}).width
        assert 10 * sympy.log(width).evalf() ** 2 <= width
        assert 10 * sympy.log(width - 1).evalf() ** 2 > width - 1
        with pytest.raises(NtkVerifyError, match="on both sides"):
            chain.sufficient()

    def test_the_derivation_of_a_fixed_point_prints_step_by_step(self):
        chain = Chain(
            m,
            [
                Requirement("log", 10 * n * log(m) ** 2, m, "the weights stay below their level"),
                Requirement("drift", 1 / sqrt(m), x, "no weight leaves the ball"),
                Requirement("radius", x, Rational(1, 100), "the Gram matrix stays close"),
            ],
            definitions={n: Rational(2)},
            free=(x,),
        )
        split = chain.minimise({}, start={x: Rational(1, 200)})
        found = chain.derivation(split.shares)
        assert found.expression == split.width == chain.width(split.shares).width
        lines = found.text().splitlines()
        assert lines[0] == "value of x: Eq(x, 1/100)"
        assert "definition of n: Eq(n, 2)" in lines
        assert "log (the weights stay below their level): 10*n*log(m)**2 <= m" in lines
        position = next(i for i, line in enumerate(lines) if "fixed point by search" in line)
        least = int(lines[position].split(">= ")[1])
        assert 20 * log(least).evalf() ** 2 <= least
        assert 20 * log(least - 1).evalf() ** 2 > least - 1
        assert "solved for m: m >= x**(-2)" in lines
        assert "least integer (closed form): m >= 10000" in lines
        assert "holds at these values: 1/100 <= 1/100" in lines
        assert lines[-1] == "all requirements, drift decides: Eq(m, 10000)"
        assert r"\text{solved for m:} \quad m \geq \frac{1}{x^{2}}" in found.latex()

    def test_definitions_expand(self):
        chain = Chain(m, [Requirement("r", n / m, x, "")], definitions={x: y / 2, y: 1 / n})
        assert chain.thresholds["r"] == 2 * n**2

    def test_comparisons_are_exact(self):
        # a width of exactly 3 is sufficient; rounding 1/3 would ask for 4
        assert Chain(m, [Requirement("r", 1 / m, Rational(1, 3), "")]).width({}).width == 3

    def test_a_float_is_not_rounded(self):
        # 15 digits of lambda = 0.5 + 1e-16 would be 1/2, of which 1/lambda = 2 is a width, which is a hair too small
        chain = Chain(m, [Requirement("r", x, m, "")])
        assert chain.width({x: 2.0}).width == 2
        assert chain.width({x: 2.0000000000000004}).width == 3

    def test_tiny_sides_are_compared_relative_to_themselves(self):
        width = Chain(m, [Requirement("tail", exp(-m / 100), 1 / m**2, "")]).width({}).width
        assert exp(-Rational(width, 100)).evalf(30) <= Rational(1, width**2)
        assert exp(-Rational(width - 1, 100)).evalf(30) > Rational(1, (width - 1) ** 2)

    def test_minimise_with_the_unknown_on_both_sides(self):
        """log(m)/sqrt(m) <= x and twice that <= y with x + y <= 1: best at x = 1/3, where log(m)/sqrt(m) = 1/3."""
        chain = Chain(
            m,
            [
                Requirement("first", log(m) / sqrt(m), x, ""),
                Requirement("second", 2 * log(m) / sqrt(m), y, ""),
                Requirement("shares", x + y, 1, ""),
            ],
            free=(x, y),
        )
        start = {x: Rational(1, 2), y: Rational(1, 2)}
        split = chain.minimise({}, start=start)
        least = Chain(m, [Requirement("r", log(m) / sqrt(m), Rational(1, 3), "")]).width({}).width
        assert least <= split.width <= least + 1 < chain.width(start).width
        assert chain.violated({**split.shares, m: split.width}) == []

    def test_minimise_finds_radii_of_any_size(self):
        """10^8/sqrt(m) <= 1/x and 1/sqrt(m) <= x: m = max(10^16 x^2, 1/x^2) is least at x = 10^-4."""
        chain = Chain(m, [Requirement("a", 10**8 * x, sqrt(m), ""), Requirement("b", 1, x * sqrt(m), "")], free=(x,))
        split = chain.minimise({}, start={x: Rational(1, 10**7)})
        assert 10**8 <= split.width <= 10**8 + 10**5

    def test_a_second_crossing_is_not_taken_for_the_last(self):
        chain = Chain(m, [Requirement("r", 0, (m - 7) * (m - 10 * log(m)), "")])
        # (m - 7)(m - 10 log m) is positive from 2 to 6, negative from 8 up to the crossing of m = 10 log m near 35.8
        assert chain.width({}).width == 36

    def test_derivations_are_valid_latex(self):
        (lambda_0,) = sympy.symbols("lambda_0,", positive=True)
        printed = Chain(m, [Requirement("a_b", 1 / m, lambda_0, "100% of R_0 & more")]).sufficient().latex()
        assert r"\text{a\_b (100\% of R\_0 \& more):}" in printed

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (
                lambda: Chain(m, [Requirement("a", m, 100, ""), Requirement("b", 1000 / m, 1, "")]).width({}),
                "'a' fails.*must get easier",
            ),
            (
                lambda: Chain(m, [Requirement("r", 1 / m, x, "")]).width({x: float("nan")}),
                "finite real number, not nan",
            ),
            (
                lambda: Chain(m, [Requirement("r", 1 / m, x, "")]).width({x: float("inf")}),
                "finite real number, not inf",
            ),
            (lambda: Chain(m, [Requirement("r", 1 / m, x, "")]).width({x: -1}), "x is declared positive"),
            (lambda: Requirement("r", 1 / m, 0.1, ""), "holds the float"),
            (lambda: Chain(m, [Requirement("r", 1 / m, x, "")], definitions={x: y, y: x}), "break the circle"),
            (lambda: two_shares().minimise({}, start={x: Rational(1, 2)}), "start needs a positive value for y"),
            (lambda: Chain(m, [Requirement("r", x, 1, "")]), "nothing to solve for"),
            (lambda: Chain(m, [Requirement("r", 1 / m, 1, "")] * 2), "two requirements"),
            (lambda: two_shares().width({x: 1, y: 1}), "'shares'.*fails"),
            (lambda: two_shares().width({x: 1}), "needs a value for y"),
            (lambda: Chain(m, [Requirement("r", m + exp(-m) * log(m), 0, "")]).width({}), "fails at m = 2\\^256"),
        ],
    )
    def test_refusals(self, build, message):
        with pytest.raises(NtkVerifyError, match=message):
            build()
