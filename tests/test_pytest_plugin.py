"""The plugin as its users meet it: their own folder, their own mistakes, other people's test suites."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEMPLATE = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)


def small(conclusion="run.values", control="2 + run.values", extra=""):
    """A theorem of linear algebra that takes no time."""
    return f"""
import numpy as np
import sympy
from ntkverify import Instance, Source, Theorem, always, with_probability
from ntkverify.problems.algebra import AlgebraRun

theorem = Theorem("Small", source=Source(), statement="values are at most 1")

@theorem.instances("some", run=AlgebraRun, quick=3)
def some():
    return Instance(data={{"values": [0.5, 0.25]}})

@theorem.conclusion("values are at most one", holds=always, bound=sympy.Integer(1))
def conclusion(run):
    return {conclusion}

@theorem.control("values plus two are at most one", holds=always, bound=sympy.Integer(1))
def control(run):
    return {control}
{extra}
"""


@pytest.fixture
def folder(pytester):
    """An empty folder of somebody's own, with pytest run in it."""
    pytester.makeini("[pytest]\n")

    def run(*arguments, **files):
        for name, text in files.items():
            (pytester.path / f"{name}.py").write_text(text, encoding="utf-8")
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    run.path = pytester.path
    return run


def verdicts(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestOwnFolder:
    def test_the_readme_template_is_collected_and_holds(self, folder):
        result = folder("--verdicts", "v.jsonl", mine=TEMPLATE)
        result.assert_outcomes(passed=3)
        written = verdicts(folder.path / "v.jsonl")
        assert [(v["claim"], v["kind"], v["verdict"]) for v in written] == [
            ("every output is at most sqrt(2 log(2 n/delta))", "lemma", "holds"),
            ("the residual is moderate", "conclusion", "holds"),
            ("the residual is tiny", "control", "refuted"),
        ]
        assert written[1]["slack"] > 1
        assert written[1]["instances"] > 400  # so many data sets, then fresh draws of the worst

    def test_the_template_fails_when_it_is_false(self, folder):
        false = TEMPLATE.replace("bound=n * (1 + second_moment) / delta", "bound=n * second_moment / 3")
        assert false != TEMPLATE
        result = folder(mine=false)
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(["*the residual is moderate*violated*"])

    def test_a_violation_names_claim_and_instance(self, folder):
        result = folder(mine=small(conclusion="3 * run.values"))
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*'values are at most one' is violated*", "instance: {*"])
        result.stdout.no_fnmatch_line("*Traceback*")
        assert result.ret == 1

    def test_a_control_that_survives_fails(self, folder):
        result = folder(mine=small(control="run.values"))
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*not refuted*"])

    def test_inconclusive_fails_unless_allowed(self, folder):
        module = small().replace(
            "bound=sympy.Integer(1))\ndef conclusion", "bound=1, given=lambda r: False)\ndef conclusion"
        )
        folder(mine=module).assert_outcomes(passed=1, failed=1)
        folder("--ntk-allow-inconclusive", mine=module).assert_outcomes(passed=2)

    def test_the_summary_table(self, folder):
        result = folder(mine=small())
        result.stdout.fnmatch_lines(
            [
                "*verdicts*",
                "*claim*quantifier*verdict*slack*instances*vacuous*would have missed*",
                "*values are at most one*always*holds*2*3*0*",
            ]
        )
        result.stdout.fnmatch_lines(["1 holds, 1 refuted"])

    def test_sessions_repeat_and_entropy_changes_them(self, folder):
        module = TEMPLATE

        def slack(*options):
            folder("--verdicts", "v.jsonl", *options, mine=module)
            return verdicts(folder.path / "v.jsonl")[0]["slack"]

        assert slack() == slack()
        assert slack() != slack("--ntk-entropy", "1")

    def test_profiles(self, folder):
        folder("--ntk-profile", "thorough", "--verdicts", "v.jsonl", mine=small())
        assert verdicts(folder.path / "v.jsonl")[0]["instances"] == 30

    def test_selection_by_name(self, folder):
        folder("-k", "plus", mine=small()).assert_outcomes(passed=1, deselected=1)

    @pytest.mark.parametrize(("kind", "name"), [("control", "plus two"), ("conclusion", "at most one")])
    def test_selection_by_kind(self, folder, kind, name):
        result = folder("-m", kind, "--strict-markers", mine=small())
        result.assert_outcomes(passed=1, deselected=1)
        result.stdout.fnmatch_lines([f"*{name}*"])
        folder("-m", "lemma", mine=small()).assert_outcomes(deselected=2)

    def test_selection_by_the_sentence(self, folder):
        folder("--ntk-claim", "PLUS two", mine=small()).assert_outcomes(passed=1, deselected=1)
        folder("--ntk-claim", "plus", "--ntk-claim", "values are", mine=small()).assert_outcomes(passed=2)
        ordinary = "def test_it():\n    assert True\n"
        folder("--ntk-claim", "plus", mine=small(), test_it=ordinary).assert_outcomes(passed=2, deselected=1)

    def test_an_inconclusive_claim_names_its_remedy(self, folder):
        module = small().replace(
            "bound=sympy.Integer(1))\ndef conclusion", "bound=1, given=lambda r: False)\ndef conclusion"
        )
        folder(mine=module).stdout.fnmatch_lines(["remedy: let the instances meet the event given=..."])


class TestOwnQuantifier:
    """A class in the theorem's own file; the library has never heard of it."""

    EXTRA = """
from dataclasses import dataclass
from ntkverify.judging.verdict import Tally
from ntkverify.theorem.quantifier import Quantifier

@dataclass(frozen=True)
class Median(Quantifier):
    takes_bound = False

    def limits(self, trial):
        return None

    def judge(self, claim, draws):
        tally = Tally()
        for trial in draws:
            tally.add(trial)
        tally.slack = None
        median = float(np.median(trial.outcome.value))
        tally.status, tally.evidence = "holds" if median <= 1 else "violated", f"the median is {median:g}"
        return tally

@theorem.lemma("the median is at most one", holds=Median("median"))
def lemma(run):
    return FACTOR * run.values
"""

    def test_it_is_judged_reported_and_in_the_table(self, folder):
        result = folder("--verdicts", "v.jsonl", mine=small(extra=self.EXTRA.replace("FACTOR", "2")))
        result.assert_outcomes(passed=3)
        result.stdout.fnmatch_lines(["*the median is at most one*median*holds*-*3*0*"])
        assert [(v["quantifier"], v["evidence"]) for v in verdicts(folder.path / "v.jsonl")][-1] == (
            "median",
            "the median is 0.75",
        )

    def test_a_false_one_fails(self, folder):
        result = folder(mine=small(extra=self.EXTRA.replace("FACTOR", "4")))
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(["*lemma 'the median is at most one' is violated: the median is 1.5*"])


class TestXdist:
    def test_processes_share_the_runs(self, pytester):
        pytester.makeini("[pytest]\n")
        counted = TEMPLATE.replace(
            "theorem = Theorem(",
            "import os, pathlib\n\nclass RegressionRun(RegressionRun):\n"
            "    def initial(self, radius=0.0):\n"
            "        def compute():\n"
            "            with open(pathlib.Path(__file__).parent / 'log', 'a') as stream:\n"
            "                stream.write(f'{os.getpid()} {self.instance.seed}\\n')\n"
            "            return float(self.instance.seed)\n"
            "        self.shared('count', compute)\n"
            "        return super().initial(radius)\n\n"
            "theorem = Theorem(",
            1,
        ).replace("quick=400", "quick=60")
        (pytester.path / "mine.py").write_text(counted)
        result = pytester.runpytest_subprocess("-n", "2", "--verdicts", "v.jsonl")
        result.assert_outcomes(passed=3)
        assert len(verdicts(pytester.path / "v.jsonl")) == 3
        computed = [line.split()[1] for line in (pytester.path / "log").read_text().splitlines()]
        assert len(computed) == len(set(computed)) > 90


class TestSameVerdicts:
    """A verdict depends on its theorem, profile and entropy alone."""

    @pytest.mark.heavy
    def test_alone_among_others_selected_and_shared_out(self, pytester):
        pytester.makeini("[pytest]\n")

        def lines(*options, **modules):
            for old in pytester.path.glob("*.py"):
                old.unlink()
            for name, text in modules.items():
                (pytester.path / f"{name}.py").write_text(text, encoding="utf-8")
            pytester.runpytest_subprocess("--verdicts", "v.jsonl", *options)
            mine = [v for v in verdicts(pytester.path / "v.jsonl") if v["theorem"].endswith("/mine")]
            return sorted(json.dumps({k: v for k, v in line.items() if k != "seconds"}) for line in mine)

        mine = TEMPLATE.replace("quick=400", "quick=60")
        alone = lines(mine=mine)
        assert len(alone) == 3
        assert lines("-n", "2", another=small(), mine=mine, then=mine) == alone
        assert lines("-k", "tiny", mine=mine, then=small()) == [line for line in alone if "tiny" in line]


class TestMistakes:
    @pytest.mark.parametrize(
        ("module", "message"),
        [
            ("import ntkverify\nimport nonsense_module\n", "does not import: ModuleNotFoundError in line 3"),
            ("from ntkverify import Theorem\n1 / 0\n", "does not import: ZeroDivisionError in line 3"),
            ("from ntkverify import Theorem\ndef (\n", "does not import: SyntaxError"),
        ],
    )
    def test_a_module_that_does_not_import_is_one_sentence(self, folder, module, message):
        result = folder("--verdicts", "v.jsonl", bad="\n" + module + "theorem = Theorem(\n)\n", good=small())
        assert result.ret == 2
        result.stdout.fnmatch_lines([f"*bad.py {message}*"])
        result.stdout.no_fnmatch_line("*Traceback*")

    def test_verdicts_of_other_modules_are_still_written(self, folder):
        bad = "from ntkverify import Theorem\n1 / 0\ntheorem = Theorem(\n)\n"
        result = folder("--continue-on-collection-errors", "--verdicts", "v.jsonl", bad=bad, good=small())
        assert result.ret == 1
        assert len(verdicts(folder.path / "v.jsonl")) == 2

    def test_a_missing_part_is_named(self, folder):
        module = re.sub(r"@theorem.control.*", "", small(), flags=re.DOTALL)
        result = folder(mine=module)
        assert result.ret == 2
        result.stdout.fnmatch_lines(["*mine.py: theorem 'Small' has no control; add*"])

    def test_bad_data_in_one_claim_keeps_the_others(self, folder):
        extra = """
@theorem.instances("broken", run=AlgebraRun, quick=1)
def broken():
    return Instance(data={"values": [0.5, float("nan")]})

@theorem.lemma("broken lemma", holds=always, bound=1, on="broken")
def broken_lemma(run):
    return run.values
"""
        module = small(extra=extra).replace("bound=sympy.Integer(1))", 'bound=sympy.Integer(1), on="some")')
        result = folder("--verdicts", "v.jsonl", mine=module)
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(["*'values' has the non-finite value nan at index (1,)*"])
        assert len(verdicts(folder.path / "v.jsonl")) == 2

    @pytest.mark.parametrize(
        ("instance", "message"),
        [
            ('data={"inputs": [], "targets": []}, width=8', "there are no inputs (n = 0); add*"),
            (
                'data={"inputs": [[1.0], [1.0]], "targets": [1, 1]}, width=8',
                "*row 1 is to rounding parallel to row 0: rem*",
            ),
            ('data={"inputs": [[0.0], [1.0]], "targets": [1, 1]}, width=8', "*input 0 is the zero vector; remove*"),
            ('data={"inputs": [[1.0]], "targets": [1]}, width=10**14', "*needs * GiB but * GiB are free*"),
            ('data={"inputs": [[1.0]], "targets": [1]}, width=8, parameters={"delta": 1}', "*delta must lie*"),
        ],
    )
    def test_impossible_instances_fail_with_one_sentence_and_keep_verdicts(self, folder, instance, message):
        extra = f"""
from ntkverify.problems.regression import RegressionRun

@theorem.instances("impossible", run=RegressionRun, quick=1)
def impossible():
    return Instance({instance})

@theorem.lemma("impossible lemma", holds=always, bound=1, on="impossible")
def impossible_lemma(run):
    # a width beyond memory can be asked for its limit, but not for the network
    return run.lambda_0 + 0 * run.residual_0
"""
        module = small(extra=extra).replace("bound=sympy.Integer(1))", 'bound=sympy.Integer(1), on="some")')
        result = folder("--verdicts", "v.jsonl", mine=module)
        result.assert_outcomes(passed=2, failed=1)
        assert result.ret == 1
        result.stdout.fnmatch_lines([f"*{message}*"])
        result.stdout.no_fnmatch_line("*Traceback*")
        assert len(verdicts(folder.path / "v.jsonl")) == 2

    def test_a_module_that_leaves_python(self, folder):
        bad = "from ntkverify import Theorem\nraise SystemExit(3)\ntheorem = Theorem(\n)\n"
        result = folder("--continue-on-collection-errors", "--verdicts", "v.jsonl", bad=bad, good=small())
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*bad.py does not import: SystemExit in line 2*"])
        assert len(verdicts(folder.path / "v.jsonl")) == 2

    def test_what_could_not_be_judged_keeps_its_row(self, folder):
        """A backend that a claim's run refuses, say: the table tells, the file of verdicts has none."""
        refused = small(conclusion="run.nothing")
        result = folder("--verdicts", "v.jsonl", mine=refused)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*values are at most one*always*not judged*", "1 refuted, 1 not judged"])
        result.stdout.fnmatch_lines(["mine.py:*: AlgebraRun of theorem*does not know 'nothing'*"])
        assert [v["verdict"] for v in verdicts(folder.path / "v.jsonl")] == ["refuted"]

    @pytest.mark.parametrize("where", ["return run.values[7]", "return {}['mine']"])
    def test_an_exception_in_a_measure_is_the_authors_line(self, folder, where):
        module = small().replace("    return run.values\n", f"    {where}\n")
        result = folder(mine=module)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["mine.py:*: claim 'values are at most one' of theorem 'Small' raised *Error:*"])
        assert len(result.outlines) < 30

    @pytest.mark.parametrize("name", ["second", "theorem", "second: Theorem"])
    def test_two_theorems_in_a_module_are_one_error_that_names_both(self, folder, name):
        text = small(extra=f'{name} = Theorem("Other", source=Source(), statement="S")\n')
        lines = [number for number, line in enumerate(text.splitlines(), 1) if " = Theorem(" in line]
        assert len(lines) == 2
        result = folder(mine=text)
        result.assert_outcomes(errors=1)
        said = f"*mine.py holds 2 theorems, `theorem = * in line {lines[0]} and `{name[:6]}* in line {lines[1]}; *"
        result.stdout.fnmatch_lines([said])

    def test_a_theorem_that_is_imported_is_no_second_one(self, folder):
        (folder.path / "library.py").write_text(small().replace("theorem", "theirs"))
        mine = "from library import theirs\nother = theirs\n" + small()
        folder("-o", "pythonpath=.", mine=mine).assert_outcomes(passed=2)

    def test_an_error_of_ours_has_none_of_pytests_frames(self, folder, monkeypatch):
        def fails(*arguments):
            raise RuntimeError("of ours")

        # the one that a session finds: what earlier sessions had imported pytester has unloaded
        monkeypatch.setattr(importlib.import_module("ntkverify.judging.check"), "judge", fails)
        result = folder(mine=small())
        result.assert_outcomes(failed=2)
        result.stdout.fnmatch_lines(["*RuntimeError: of ours"])
        result.stdout.no_fnmatch_line("*_callers.py*")
        assert len(result.outlines) < 60

    def test_an_unknown_backend_is_refused(self, folder):
        result = folder("--ntk-backend", "abacus", mine=small())
        assert result.ret == 2
        result.stdout.fnmatch_lines(["*no backend 'abacus'; choose one of auto*"])

    def test_collecting_alone_keeps_the_verdict_file(self, folder):
        folder("--verdicts", "v.jsonl", mine=small())
        folder("--verdicts", "v.jsonl", "--collect-only")
        assert len(verdicts(folder.path / "v.jsonl")) == 2

    def test_an_unwritable_verdict_file(self, folder):
        result = folder("--verdicts", "no/such/folder/v.jsonl", mine=small())
        assert result.ret == 4
        result.stderr.fnmatch_lines(["*can't be written*"])

    @pytest.mark.parametrize("option", ["--ntk-profile leisurely", "--ntk-entropy -1", "--ntk-entropy x"])
    def test_bad_options(self, folder, option):
        assert folder(*option.split(), mine=small()).ret == 4


class TestRecognition:
    @pytest.mark.parametrize(
        "line",
        ["theorem = Theorem(", "theorem: Theorem = Theorem(", "theorem=Theorem(", "theorem = ntkverify.Theorem("],
    )
    def test_spellings(self, tmp_path, line):
        from ntkverify.theorem.files import is_theorem_module

        path = tmp_path / "mine.py"
        path.write_text(f"import ntkverify\n{line}1)\n")
        assert is_theorem_module(path)
        path.write_text(f"import ntkverify\ndef (\n{line}1)\n")
        assert is_theorem_module(path)
        path.write_text(f"import ntkverify\ndef f():\n    {line}1)\n")
        assert not is_theorem_module(path)


class TestNamedFiles:
    """A file that is named on the command line is a theorem's, or says that it is none."""

    @pytest.mark.parametrize(
        "making",
        ["if True:\n    theorem = Theorem(", "from ntkverify import Theorem as T\ntheorem = T(",
         "class Maker:\n    make = Theorem\ntheorem = Maker.make("],
    )  # fmt: skip
    def test_it_is_collected_however_the_theorem_is_made(self, folder, making):
        result = folder("mine.py", mine=small().replace("theorem = Theorem(", making))
        result.assert_outcomes(passed=2)

    def test_a_module_is_imported_once(self, folder):
        text = small() + "open('imports.txt', 'a').write('x')\n"
        folder("mine.py", "other.py", mine=text, other="from mine import theorem as theirs\n" + small())
        assert (folder.path / "imports.txt").read_text() == "x"

    @pytest.mark.parametrize("text", ["import ntkverify\n", "from ntkverify import Theorem  # theorem = \n"])
    def test_one_without_a_theorem_says_so(self, folder, text):
        result = folder("none.py", "mine.py", none=text, mine=small())
        result.assert_outcomes(errors=1)
        assert result.ret == 2
        result.stdout.re_match_lines([".*none.py (has no line|defines no) `theorem = Theorem\\(...\\)`.*; add one."])
        folder("--continue-on-collection-errors", "none.py", "mine.py").assert_outcomes(passed=2, errors=1)

    def test_in_a_folder_it_is_nobodys_business(self, folder):
        folder(none="import ntkverify\nraise SystemExit\n", mine=small()).assert_outcomes(passed=2)

    def test_tests_and_what_has_nothing_to_do_with_theorems_are_pytests(self, folder):
        tests = "import ntkverify\n\ndef test_it():\n    assert True\n"
        folder("checks.py", "plain.py", checks=tests, plain="x = 1\n").assert_outcomes(passed=1)
        folder("both.py", both=small() + tests).assert_outcomes(passed=3)
        folder("--doctest-modules", "docs.py", docs='"""\n>>> 1\n1\n"""\nimport ntkverify\n').assert_outcomes(passed=1)

    @pytest.mark.parametrize("options", [[], ["-n", "2"]])
    def test_two_files_of_one_name_have_ids_of_their_own(self, pytester, options):
        pytester.makeini("[pytest]\n")
        for name in "ab":
            (pytester.path / name / "rates").mkdir(parents=True)
            (pytester.path / name / "rates" / "bound.py").write_text(small())
        pytester.runpytest_subprocess("--verdicts", "v.jsonl", *options).assert_outcomes(passed=4)
        assert {v["theorem"] for v in verdicts(pytester.path / "v.jsonl")} == {"a/rates/bound", "b/rates/bound"}
        pytester.runpytest_subprocess("--verdicts", "v.jsonl", "b").assert_outcomes(passed=2)
        assert {v["theorem"] for v in verdicts(pytester.path / "v.jsonl")} == {"rates/bound"}


class TestOtherSuites:
    def test_options_of_another_suite_do_not_collide(self, pytester):
        pytester.makeconftest(
            "def pytest_addoption(parser):\n"
            "    for name in ('--backend', '--profile', '--entropy'):\n"
            "        parser.addoption(name)\n"
        )
        pytester.makepyfile("def test_it():\n    assert True\n")
        pytester.runpytest_subprocess().assert_outcomes(passed=1)

    def test_files_that_are_no_theorems_are_not_imported(self, folder):
        result = folder(
            setup="raise SystemExit('imported')",
            helper="import ntkverify  # names it\nraise SystemExit('imported')",
            quoting='text = """\ntheorem = Theorem(\n"""\nimport ntkverify\nraise SystemExit',
            conclusion="theorem = 'Theorem('  # ntkverify\nraise SystemExit('imported')",
            test_ordinary="def test_it():\n    assert True\n",
        )
        result.assert_outcomes(passed=1)

    def test_a_test_file_with_a_theorem_stays_an_ordinary_test_file(self, folder):
        result = folder(test_mine=small() + "\ndef test_it():\n    assert True\n")
        result.assert_outcomes(passed=1)

    def test_a_session_without_theorems_loads_nothing_heavy(self, tmp_path):
        (tmp_path / "test_ordinary.py").write_text(
            "import sys\n\ndef test_it():\n"
            "    assert 'ntkverify.pytest_plugin' in sys.modules\n"
            "    assert not {'sympy', 'scipy', 'numba', 'numpy'} & set(sys.modules)\n"
        )
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
