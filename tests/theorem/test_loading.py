"""Theorem modules in files: made in any way, beside others, in packages, under one name in several folders."""

import gc
import json
import subprocess
import sys

import pytest

from ntkverify import NtkVerifyError, load_theorem
from ntkverify.theorem import loading
from ntkverify.theorem.files import creations_in, ends_in, ids_of, is_called, is_theorem_module

MAKING = 'theorem = Theorem("Small", source=Source(), statement="values are at most 1")\n'
HEAD = """import sympy
from ntkverify import Instance, Source, Theorem, always
from ntkverify.problems.algebra import AlgebraRun
"""
REST = """
@theorem.instances("some", run=AlgebraRun, quick=3)
def some():
    return Instance(data={"values": [0.5, 0.25]})

@theorem.conclusion("values are at most the limit", holds=always, bound=LIMIT)
def conclusion(run):
    return run.values

@theorem.control("values plus nine are at most the limit", holds=always, bound=LIMIT)
def control(run):
    return 9 + run.values
"""


def module(making=MAKING, limit="LIMIT = sympy.Integer(1)", head=HEAD):
    return f"{head}{limit}\n{making}{REST}"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files, `a_in_b` as b in the folder a; what they import is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('_in_', '/').replace('init', '__init__')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return path

    yield write
    for name, loaded in list(sys.modules.items()):
        if str(getattr(loaded, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(path):
    with pytest.raises(NtkVerifyError) as caught:
        load_theorem(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def bound_of(theorem):
    return int(theorem.claims["values are at most the limit"].bound)


# every way to make a theorem, and whether a folder's text alone tells
WAYS = {
    "plain": (module(), True),
    "annotated": (module(MAKING.replace("theorem =", "theorem: Theorem =")), True),
    "an alias": (module(MAKING.replace("Theorem(", "T(")).replace("Source, Theorem", "Source, Theorem as T"), True),
    "another name for it": (module("Statement = Theorem\n" + MAKING.replace("Theorem(", "Statement(")), True),
    "of the package": (module("import ntkverify\n" + MAKING.replace("Theorem(", "ntkverify.Theorem(")), True),
    "inside an if": (module("if LIMIT:\n    " + MAKING), True),
    "in one branch or the other": (module(f"if LIMIT:\n    {MAKING}else:\n    {MAKING}"), True),
    "tried": (module(f"try:\n    {MAKING}except ValueError:\n    {MAKING}"), True),
    "by a function": (
        module("def make(title):\n    return Theorem(title, Source(), 'S')\ntheorem = make('T')\n"),
        True,
    ),
    "by a method": (
        module("class Maker:\n    make = staticmethod(lambda: Theorem('T', Source(), 'S'))\ntheorem = Maker.make()\n"),
        False,
    ),
    "under another name": (module("mine = Theorem('T', Source(), 'S')\n").replace("@theorem", "@mine"), False),
    "made further": (module(MAKING + "def same(t):\n    return t\ntheorem = same(theorem)\n"), True),
    "an assistant that makes one": (
        module(f"def size():\n    Theorem('Aside', Source(), 'S')\n    return 3\n{MAKING}number = size()\n"),
        True,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_theorem_is_found_however_it_is_made(write, way):
    text, by_text = WAYS[way]
    path = write(mine=text)
    assert is_theorem_module(path) == by_text
    assert bound_of(load_theorem(path)) == 1


TWO = {
    "two names": MAKING + MAKING.replace("theorem =", "second ="),
    "one name twice": MAKING + MAKING,
    "by a function": "def f(t):\n    return Theorem(t, Source(), 'S')\ntheorem = f('a')\ntheorem = f('b')\n",
    "by an alias": MAKING + "T = Theorem\nother = T('b', Source(), 'S')\n",
    "beside an if": MAKING + "if LIMIT:\n    " + MAKING,
    "in a loop": "for title in 'ab':\n    theorem = Theorem(title, Source(), 'S')\n",
}


@pytest.mark.parametrize("way", TWO)
def test_a_second_theorem_in_a_file_is_refused_with_its_line(write, way):
    said = refusal(write(mine=module(TWO[way])))
    assert said.startswith("mine.py holds ")
    assert "theorems, `" in said
    assert "give each a file of its own" in said
    assert "in line" in said


def test_several_under_names_of_their_own(write):
    text = module("made = [Theorem(t, Source(), 'S') for t in 'ab']\nfirst, second = made\n")
    assert "holds 2 theorems, `first`, `second`; call the one" in refusal(
        write(mine=text.replace("@theorem", "@first"))
    )


def test_none(write):
    assert "mine.py defines no `theorem = Theorem(...)`" in refusal(write(mine="from ntkverify import Theorem\n"))
    write(library=module())
    assert "defines no" in refusal(write(mine="from library import theorem  # of ntkverify\n"))


def test_titles_and_lines_are_read_from_the_text():
    (made,) = creations_in(b"import ntkverify\n\ntheorem = ntkverify.Theorem(source=1, title='A title')\n")
    assert made == (3, "theorem", "ntkverify.Theorem", "A title")


class TestBeside:
    """What lies beside a theorem is imported as in a script."""

    LIMIT = "from shared_limits import LIMIT\n"

    def test_a_module_beside(self, write):
        write(shared_limits="import sympy\nLIMIT = sympy.Integer(3)\n")
        assert bound_of(load_theorem(write(mine=module(limit=self.LIMIT)))) == 3

    def test_of_two_folders_each_has_its_own(self, write):
        for name, limit in (("a", 3), ("b", 7)):
            write(**{f"{name}_in_shared_limits": f"import sympy\nLIMIT = sympy.Integer({limit})\n"})
        paths = [write(**{f"{name}_in_mine": module(limit=self.LIMIT)}) for name in "ab"]
        for _ in range(2):
            assert [bound_of(load_theorem(path)) for path in paths] == [3, 7]

    @pytest.mark.parametrize(
        "line",
        ["from ..limits import LIMIT", "from .near import LIMIT", "from pkg.limits import LIMIT",
         "from . import near\nLIMIT = near.LIMIT", "import pkg.limits\nLIMIT = pkg.limits.LIMIT"],
    )  # fmt: skip
    def test_relative_imports_inside_a_package(self, write, line):
        write(pkg_in_init="", pkg_in_inner_in_init="", pkg_in_limits="import sympy\nLIMIT = sympy.Integer(5)\n")
        write(pkg_in_inner_in_near="from ..limits import LIMIT\n")
        assert bound_of(load_theorem(write(pkg_in_inner_in_mine=module(limit=line)))) == 5

    def test_packages_of_one_name_in_two_folders(self, write):
        for name, limit in (("a", 3), ("b", 7)):
            write(**{f"{name}_in_pkg_in_init": "", f"{name}_in_pkg_in_limits": f"LIMIT = {limit}\n"})
        paths = [write(**{f"{name}_in_pkg_in_mine": module(limit="from .limits import LIMIT")}) for name in "ab"]
        assert [bound_of(load_theorem(path)) for path in paths] == [3, 7]

    def test_a_package_that_hides_behind_another(self, write):
        write(json_in_init="", json_in_limits="LIMIT = 1\n")
        said = refusal(write(json_in_mine=module(limit="from .limits import LIMIT")))
        assert "mine.py: its package 'json' is hidden by another of that name" in said
        assert "rename the folder" in said

    def test_a_theorem_named_like_a_module_that_others_use_takes_nothing_from_them(self, write):
        import colorsys

        assert bound_of(load_theorem(write(colorsys=module()))) == 1
        assert sys.modules["colorsys"] is colorsys

    def test_a_theorem_that_another_imports_is_run_once(self, write):
        write(base="import runs\n" + module(), runs="COUNT = []\n")
        base = write(base="import runs\nruns.COUNT.append(1)\n" + module())
        other = write(other="from base import LIMIT\nfrom base import theorem as theirs\n" + module(limit=""))
        mine = load_theorem(other)
        assert load_theorem(base) is not mine
        assert sys.modules["runs"].COUNT == [1]
        load_theorem(base)  # asked for again it is read again, as it may have changed
        assert sys.modules["runs"].COUNT == [1, 1]

    def test_a_module_that_is_gone_leaves_nothing_to_the_next(self, write):
        known = loading._GIVEN
        gc.collect()
        before = len(known)
        for k in range(3):
            load_theorem(write(**{f"gone{k}": module()}))
        for name in [name for name in sys.modules if "gone" in name]:
            del sys.modules[name]
        gc.collect()
        assert len(known) == before

    def test_errors_name_the_line_here_and_there(self, write):
        write(shared_limits="\n\nLIMIT = {}['two']\n")
        said = refusal(write(mine="\n" + module(limit=self.LIMIT)))
        assert said == "mine.py does not import: KeyError in line 5 (shared_limits.py:3): 'two'."
        write(shared_limits="LIMIT = (\n")
        assert "mine.py does not import: SyntaxError in line 1 of shared_limits.py:" in refusal("mine.py")
        write(shared_limits="")
        assert refusal("mine.py").count("in line 5: cannot import name 'LIMIT'") == 1

    def test_a_module_that_failed_can_be_mended(self, write):
        path = write(mine="import ntkverify\ntheorem = Theorem(\n")
        assert "mine.py does not import: SyntaxError in line 2: " in refusal(path)
        assert bound_of(load_theorem(write(mine=module()))) == 1


class TestNames:
    def test_ids_have_as_many_folders_as_tell_them_apart(self, tmp_path):
        paths = [tmp_path / p for p in ("a/rates/bound.py", "b/rates/bound.py", "x/b/rates/bound.py", "a/rates/o.py")]
        top = tmp_path.name
        wanted = [f"{top}/a/rates/bound", f"{top}/b/rates/bound", "x/b/rates/bound", "rates/o"]
        assert list(ids_of(paths).values()) == wanted
        assert list(ids_of(reversed(paths)).values()) == wanted[::-1]
        assert list(ids_of(paths[:2]).values()) == ["a/rates/bound", "b/rates/bound"]
        assert ids_of(paths[:1]) == {paths[0]: "rates/bound"}

    def test_one_file_by_two_names(self, write, tmp_path):
        path = write(mine=module())
        (tmp_path / "link").symlink_to(tmp_path)
        assert set(ids_of([path, tmp_path / "link" / "mine.py"]).values()) == {f"{tmp_path.name}/mine"}

    def test_a_name_means_a_file_with_any_folders(self, tmp_path):
        path = tmp_path / "b" / "rates" / "bound.py"
        assert ends_in(path, "bound")
        assert ends_in(path, "b/rates/bound")
        assert not ends_in(path, "a/rates/bound")
        assert is_called("rates/bound", "b/rates/bound")
        assert not is_called("a/rates/bound", "b/rates/bound")

    def test_everywhere(self, write, tmp_path):
        """list, check, its file of verdicts and its memory, next, and a search: two theorems, never mixed."""
        for name, limit in (("a", 1), ("b", 100)):
            write(**{f"theorems_in_{name}_in_rates_in_bound": module(limit=f"LIMIT = sympy.Integer({limit})")})
        ids = ["a/rates/bound", "b/rates/bound"]

        def out(*typed, status=0):
            command = [sys.executable, "-m", "ntkverify", *typed]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == status, done.stderr
            return done.stdout or done.stderr

        assert [row["theorem"] for row in json.loads(out("list", "--json"))] == ids
        verdicts = json.loads(out("check", "--json", "--verdicts", "v.jsonl", status=1))
        assert [v["theorem"] for v in verdicts] == [ids[0]] * 2 + [ids[1]] * 2
        assert [v["verdict"] for v in verdicts] == ["holds", "refuted", "holds", "not refuted"]
        written = (tmp_path / "v.jsonl").read_text().splitlines()
        assert [json.loads(line)["theorem"] for line in written] == [v["theorem"] for v in verdicts]
        shown = json.loads(out("next", "--json"))
        assert {row["theorem"] for row in shown if row["why"] == "not refuted"} == {ids[1]}
        assert [row["theorem"] for row in json.loads(out("show", "--json", *ids))] == ids
        assert "'rates/bound' may be a/rates/bound or b/rates/bound; say which" in out("show", "rates/bound", status=2)
        assert out("search", "theorems", "--evaluations", "8", "--engine", "random", "--claim", "values are at most")
        assert {row["theorem"] for row in json.loads(out("runs", "--json"))} == set(ids)


def test_a_name_is_enough(write):
    write(theorems_in_mine=module())
    assert load_theorem("mine").id == "theorems/mine"
    assert load_theorem("levenberg_marquardt").id == "nonlinear_regime/levenberg_marquardt"  # one that comes along
    assert "did you mean theorems/mine.py?" in refusal("mien")
    assert "name one theorem in it" in refusal("theorems")
