"""What `certify` said when the corpus was written is what it says: open answers may be decided, decided ones stay."""

import copy
import json

import pytest

pytest.importorskip("flint")

from certificate_corpus import FILE, RAISED, answered, ask, objection, overlap, read

from ntkverify import NtkVerifyError
from ntkverify.search.evidence.certify import Certificate

CASES = read()
#: of the library; a theorem's own class is written with the one that it is
RUNS = ("RegressionRun", "PinnRun", "TrainedRun", "FirstStepRun", "AlgebraRun")


@pytest.mark.heavy
@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_an_answer_is_the_one_in_the_corpus_or_a_better_one(case):
    assert objection(case, ask(case)) == ""


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("status", ["CERTIFIED", "REFUTED", "UNDECIDED"])
def test_every_kind_of_run_has_every_answer(run, status):
    own = f"({run})"
    assert any((c["run"] == run or c["run"].endswith(own)) and c["answer"]["status"] == status for c in CASES)


def test_the_file_is_small_and_its_cases_have_names_of_their_own():
    assert len({case["case"] for case in CASES}) == len(CASES) >= 30
    assert FILE.stat().st_size < 300_000


class TestObjection:
    """The comparison itself: what it lets pass, and what not."""

    @pytest.fixture
    def certified(self):
        return next(copy.deepcopy(c) for c in CASES if c["answer"]["status"] == "CERTIFIED")

    @staticmethod
    def as_certificate(case, **changes):
        return Certificate(**{**case["answer"], **changes})

    def test_a_decided_answer_stays(self, certified):
        assert objection(certified, self.as_certificate(certified)) == ""
        for status in ("REFUTED", "UNDECIDED"):
            assert "has become" in objection(certified, self.as_certificate(certified, status=status))
        assert "has become" in objection(certified, NtkVerifyError("no more"))

    def test_enclosures_have_a_number_in_common(self, certified):
        wider = self.as_certificate(certified, measured=("-1e9", "1e9"))
        assert objection(certified, wider) == ""
        apart = self.as_certificate(certified, measured=("1e9", "1.1e9"))
        assert objection(certified, apart).startswith("measured was in")
        # another entry that leaves as much of the bound is as good, one that leaves less is not
        assert objection(certified, self.as_certificate(certified, entry=7)) == ""
        elsewhere = self.as_certificate(certified, entry=7, measured=("1e9", "1.1e9"))
        assert objection(certified, elsewhere).startswith("excess at entry 7")

    def test_what_is_open_may_be_decided_but_not_against_a_claim_that_is_believed(self):
        case = next(c for c in CASES if c["case"] == "own: measures what float64 rounds")
        decided = {"reason": "", "bits": 128}
        assert objection(case, Certificate("REFUTED", **decided)) == ""
        assert "has become" in objection(case, Certificate("CERTIFIED", **decided))
        coin = next(c for c in CASES if c["case"] == "own: a fair coin")
        assert "has become" in objection(coin, Certificate("REFUTED", **decided))

    def test_a_refusal_may_change_its_sentence_but_not_become_a_fault(self):
        case = next(c for c in CASES if c["answer"]["status"] == RAISED and c["answer"]["refusal"] == "NtkVerifyError")
        assert objection(case, NtkVerifyError("in other words")) == ""
        assert "has become" in objection(case, ValueError("a fault"))

    def test_ends_are_known_to_the_digits_that_are_printed(self):
        assert overlap(("0.10000000000000000000",) * 2, ("0.10000000000000000001",) * 2, 2e-19)
        assert not overlap(("0.10000000000000000000",) * 2, ("0.1000000000000001",) * 2, 2e-19)
        assert overlap(("nan", "nan"), ("1", "2"), 2e-19)


def test_a_case_is_written_with_its_answer():
    case = next(c for c in CASES if c["case"] == "own: squares sum to n at most")
    asked = {key: value for key, value in case.items() if key not in ("answer", "may_become")}
    again = json.loads(json.dumps(answered(asked)))
    assert again.keys() == case.keys()
    assert again["answer"].keys() == case["answer"].keys()
    assert again["answer"]["status"] == case["answer"]["status"]
