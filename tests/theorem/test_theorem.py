"""Building a theorem: what is refused, how constants expand, how a mutant differs."""

import copy
from dataclasses import replace

import pytest
import sympy

from ntkverify import Instance, NtkVerifyError, Source, Theorem, always, identity, scales_as, with_probability
from ntkverify.glossary import delta, n
from ntkverify.problems.algebra import AlgebraRun
from ntkverify.symbolic.constants.chain import solve_for


def bare(title="T", statement="S"):
    return Theorem(title, source=Source(), statement=statement)


def complete():
    theorem = bare()
    theorem.instances("some", run=AlgebraRun, quick=1)(lambda: None)
    theorem.conclusion("c", holds=always, bound=n)(lambda run: 1)
    theorem.control("false", holds=always, bound=n)(lambda run: 1)
    return theorem


def test_a_complete_theorem_is_valid():
    complete().validate()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.claims.pop("c"), "no conclusion"),
        (lambda t: t.claims.pop("false"), "no control"),
        (lambda t: t.families.clear(), "no instances"),
        (lambda t: setattr(t, "statement", " "), "title and a statement"),
        (lambda t: t.lemma("l", holds=always)(lambda run: 1), "has no bound"),
        (lambda t: t.lemma("l", holds=with_probability(0.9))(lambda run: 1), "has no bound"),
        (lambda t: t.lemma("l", holds=identity, bound=1, error=abs)(lambda run: 1), "takes no bound"),
        (lambda t: t.lemma("l", holds=identity)(lambda run: (1, 1)), "rounding error"),
        (lambda t: t.lemma("l", holds="always", bound=1)(lambda run: 1), "quantifiers"),
        (lambda t: t.lemma("l", holds=always, bound=1, on="elsewhere")(lambda run: 1), "'elsewhere'"),
        (lambda t: t.lemma("l", holds=always, bound=1, assumes=["luck"])(lambda run: 1), "'luck'"),
        (lambda t: t.lemma("l", holds=scales_as(1, tolerance=0.1), given=bool)(lambda run: 1), "condition"),
    ],
)
def test_a_missing_or_contradictory_part_is_named(spoil, message):
    theorem = complete()
    spoil(theorem)
    with pytest.raises(NtkVerifyError, match=message) as caught:
        theorem.validate()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "build",
    [
        lambda t: t.constant("c_1", sympy.Float(0.5), "rounded"),
        lambda t: [t.constant("c_1", sympy.Integer(1), "") for _ in range(2)],
        lambda t: t.conclusion("c", holds=always, bound=1)(lambda run: 1),
        lambda t: t.instances("none", run=AlgebraRun, quick=0),
        lambda t: with_probability(1.0),
        lambda t: scales_as(1, tolerance=0),
    ],
)
def test_bad_parts_are_refused_where_they_are_written(build):
    with pytest.raises(NtkVerifyError):
        build(complete())


def test_constants_expand_and_keep_their_derivation():
    theorem = bare()
    radius = sympy.Symbol("radius", positive=True)
    first = theorem.constant("first", solve_for(radius, sympy.Le(2 * n * radius, delta)), "a radius")
    second = theorem.constant("second", 3 * first, "three radii")
    assert theorem.expand(second) == 3 * delta / (2 * n)
    assert "solved for radius" in theorem.constants["first"].derivation.text()
    assert theorem.value(second, {n: 2, delta: 0.1}) == pytest.approx(0.075)
    with pytest.raises(NtkVerifyError, match="value for delta"):
        theorem.value(second, {n: 2})
    assert r"\frac{\delta}{2 n}" in theorem.latex()


def test_a_mutant_scales_everything_that_depends_on_it_and_only_inside_the_block():
    theorem = complete()
    first = theorem.constant("first", n, "")
    second = theorem.constant("second", first**2, "")
    with theorem.mutated("first", sympy.Rational(1, 2)):
        assert theorem.expand(second) == n**2 / 4
    assert theorem.expand(second) == n**2
    with theorem.mutated("c", 2):
        assert theorem.bound_of(theorem.claims["c"]) == 2 * n
    assert theorem.bound_of(theorem.claims["c"]) == n
    with pytest.raises(NtkVerifyError, match="nothing"), theorem.mutated("nothing", 2):
        pass


def test_two_factors_of_one_name_multiply():
    """The second used to replace the first, and its end to take away both."""
    theorem = complete()
    c = theorem.constant("c_2", 3 * n, "")
    with theorem.mutated("c_2", 0.5):
        with theorem.mutated("c_2", sympy.Rational(1, 2)), theorem.mutated("c", 2), theorem.mutated("c", 2):
            assert theorem.expand(c) == 3 * n / 4
            assert theorem.bound_of(theorem.claims["c"]) == 4 * n
        assert theorem.expand(c) == 3 * n / 2
    assert theorem.expand(c) == 3 * n
    assert theorem.fingerprints == {"c_2": "1*(3*n)"}


@pytest.mark.parametrize("before", [(), ("whole",), ("part",), ("whole", "part")], ids="-".join)
@pytest.mark.parametrize("spoilt", ["whole", "part"])
def test_what_is_made_wrong_is_so_for_the_module_and_its_restricted_copies_and_only_inside_the_block(before, spoilt):
    """The other one kept what it had written out before, and wrote down for good what it saw meanwhile."""
    theorem = complete()
    c = theorem.constant("c", 3 * n, "")
    made = {"whole": theorem, "part": theorem.restricted(theorem.families)}
    for name in before:
        assert made[name].expand(c) == 3 * n
    wrong = replace(theorem.constants["c"], expression=3 * n**2)
    with made[spoilt].replaced("c", wrong):
        assert {name: each.expand(c) for name, each in made.items()} == {"whole": 3 * n**2, "part": 3 * n**2}
    assert {name: each.expand(c) for name, each in made.items()} == {"whole": 3 * n, "part": 3 * n}
    with made[spoilt].mutated("c", 2):
        assert {name: each.expand(c) for name, each in made.items()} == {"whole": 6 * n, "part": 6 * n}
    assert {name: each.expand(c) for name, each in made.items()} == {"whole": 3 * n, "part": 3 * n}


@pytest.mark.parametrize(
    ("of", "value"),
    [("steps", 3), ("instance.width", 7), (n + 1, 3.0), (lambda run: run.steps**2, 9)],
    ids=["a name", "a dotted name", "an expression", "a function"],
)
def test_what_a_claim_is_of(of, value):
    theorem = complete()
    theorem.lemma("l", of=of, holds=always, bound=n)
    run = AlgebraRun(Instance(width=7, steps=3, parameters={"n": 2}), theorem)
    assert theorem.claims["l"].measure(run) == value


def test_roles_are_declared_piece_by_piece():
    theorem = complete()
    theorem.declare(rate=1, data={"inputs": ("n", "d")})
    theorem.declare(width=n, data={"targets": ("n",)})
    assert theorem.roles.rate == 1
    assert theorem.roles.width == n
    assert theorem.roles.largest_step is None
    assert theorem.roles.data == {"inputs": ("n", "d"), "targets": ("n",)}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Theorem("T", sauce=Source(), statement="S"), "no keyword 'sauce'; did you mean 'source'"),
        (lambda: Theorem("T", source=Source(), statement="S", claims={}), "no keyword 'claims'"),
        (lambda: Theorem("T", statement="S"), "Theorem needs the keyword 'source'"),
        (lambda: Theorem("T", source="arXiv", statement="S"), "source=Source"),
        (lambda: Source(arxive="1"), "Source has no keyword 'arxive'; did you mean 'arxiv'"),
        (lambda: Source(provenance="mine"), "provenance='mine'; say 'quoted'"),
        (lambda: bare().lemma("l", hold=always, bound=1), "no keyword 'hold'; did you mean 'holds'"),
        (lambda: bare().control("l", bound=1), "control 'l' of theorem 'T' needs the keyword 'holds'"),
        (
            lambda: bare().lemma("l", holds=always, bound=1, provenance="mine"),
            "lemma 'l' of theorem 'T' has provenance",
        ),
    ],
)
def test_unknown_keywords_and_words_are_one_sentence(build, message):
    with pytest.raises(NtkVerifyError) as caught:
        build()
    assert message in str(caught.value)


def test_a_copy_of_a_theorem_is_made_of_nothing():
    assert copy.deepcopy(Source(arxiv="1", version=2)).label == "arXiv 1 v2, derived"
    assert copy.copy(complete()).claims.keys() == complete().claims.keys()
