"""Instances are the same in every process, whatever else it has imported."""

import subprocess
import sys
import textwrap

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from ntkverify import Check, Instance, NtkVerifyError, Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun

DRAW = """
import hashlib, sys
sys.path.insert(0, {folder!r})
{extra}
from hypothesis import strategies as st
from ntkverify import Instance
from ntkverify.judging.draws import draw_instances
from ntkverify.theorem.parts import Family

def build(draw):
    size = float(draw(st.integers(0, 2**40)))
    share, width = draw(st.floats(0, 1)), draw(st.integers(1, 10**7))
    return Instance(data={{"x": size}}, parameters={{"share": share}}, width=width)

drawn = draw_instances(Family("any", run=object, build=build, counts={{}}), 300, entropy=5)
drawn = [repr((i.data, i.parameters, i.width)) for i in drawn]
print(len(set(drawn)), hashlib.sha256("".join(drawn).encode()).hexdigest())
"""


def drawn(folder, extra):
    script = folder / f"draw{len(extra)}.py"
    script.write_text(textwrap.dedent(DRAW).format(folder=str(folder), extra=extra))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_constants_of_other_modules_do_not_matter(tmp_path):
    constants = ", ".join(str(10**6 + 7919 * i) for i in range(300))
    (tmp_path / "full_of_constants.py").write_text(f"VALUES = [{constants}]\nSHARES = [0.123, 0.456, 0.789]\n")
    alone, beside = drawn(tmp_path, ""), drawn(tmp_path, "import full_of_constants")
    assert alone == beside
    assert int(alone[0]) > 250


def judged(build):
    """The verdict on a claim that always holds, on 20 instances of a family."""
    theorem = Theorem("T", source=Source(), statement="S")
    theorem.instances("any", run=AlgebraRun, quick=20)(build)
    theorem.conclusion("x is at most 1", holds=always, bound=1, of="x")
    theorem.control("x is below 0", holds=always, bound=-1, of="x")
    return Check(theorem).verdict(theorem.claims["x is at most 1"])


def data(k=0, **options):
    return Instance(data={"x": [0.5 + k * 1e-9]}, **options)


class TestRejecting:
    """How many instances were different is said; what can't be drawn is one sentence with the line."""

    def test_instances_that_are_one_and_the_same(self):
        def build(draw):
            k = draw(st.integers(0, 10**6))
            assume(k % 1000 == 7)
            return data()

        verdict = judged(build)
        same = "within the bound on 20 instances, the 20 of 'any' being one and the same with fresh seeds"
        assert (verdict.evidence, verdict.missed) == (same, "")

    def test_few_different_ones(self):
        def build(draw, width=0):
            return data(draw(st.sampled_from([1, 2, 3])), width=width)

        verdict = judged(build)
        assert "the 20 of 'any' being only 3 different ones with fresh seeds" in verdict.evidence
        # 20 networks on three data sets are 20 draws, 20 copies of three matrices are three
        assert verdict.missed == "draws < 0.79"
        assert judged(lambda draw: build(draw, 4)).missed == "draws < 0.21"

    def test_all_different_and_always_the_same_on_purpose(self):
        wanted = "within the bound on 20 instances"
        assert judged(lambda draw: data(draw(st.integers(0, 10**6)))).evidence == wanted
        assert judged(lambda: data(width=4)).evidence == wanted

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda draw: assume(draw(st.integers()) > 3 > 4), "assume() or filter() left nothing of all that was"),
            (lambda draw: data(draw(st.integers(0, 3).filter(lambda k: k > 5))), "assume() or filter() left nothing"),
            (lambda draw: print(end=draw(st.just(""))), "the function returns nothing; end it with `return I"),
            (lambda: None, "the function returns nothing; end it with `return Instance(...)`"),
            (lambda: {"x": [0.5]}, "the function returns dict and no Instance"),
            (lambda draw: [data(draw(st.integers()))], "the function returns list and no Instance"),
            (lambda draw: data(draw(st.integers()), width="8"), "width must be a finite number, not '8'"),
            (lambda: data(width=8.5), "width must be a whole number, at least 0, not 8.5"),
            (lambda draw: data(draw(3)), "they can't be drawn, AttributeError: "),
            (lambda: 1 / 0, "they can't be drawn, ZeroDivisionError: division by zero"),
        ],
    )
    def test_what_is_no_family(self, make, said):
        with pytest.raises(NtkVerifyError) as caught:
            judged(make)
        assert said in str(caught.value)
        line = make.__code__.co_firstlineno
        assert str(caught.value).startswith(f"test_draws.py:{line}: instances 'any': ")
        assert "\n" not in str(caught.value)

    def test_a_width_that_is_a_power_of_ten(self):
        assert judged(lambda draw: data(draw(st.integers(0, 10**6)), width=10.0**3)).instances == 20

    def test_a_function_of_two_parameters(self):
        with pytest.raises(NtkVerifyError, match="the function takes draw, size; give it one parameter"):
            judged(lambda draw, size: data())
