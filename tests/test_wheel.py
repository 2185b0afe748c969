"""What is built and installed is whole: theorems, commands and what they import, without a clone."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import ntkverify

ROOT = Path(__file__).parents[1]


def _run(*command, where):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution, so that what the latter lacks is missed."""
    where = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(where), str(ROOT), where=where)
    (built,) = where.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and, from the one of these tests, whatever else is installed there."""
    where = tmp_path_factory.mktemp("environment")
    venv.create(where, with_pip=True)
    folder = "Scripts" if os.name == "nt" else "bin"
    _run(where / folder / "python", "-m", "pip", "install", "-q", "--no-deps", str(wheel), where=where)
    library = Path(sysconfig.get_path("purelib", vars={"base": str(where), "platbase": str(where)}))
    # .pth files are read in the order of their names; the wheel stands before what these folders hold
    folders = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (library / "zzz_tests.pth").write_text("\n".join(folders), encoding="utf-8")
    return where / folder


def test_the_wheel_holds_every_theorem_below_the_package(wheel):
    files = zipfile.ZipFile(wheel).namelist()
    ours = {f"ntkverify/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("theorems/*/*.py")}
    assert ours
    assert ours <= set(files)
    assert {name.partition("/")[0].partition("-")[0] for name in files} == {"ntkverify"}
    package = {p.relative_to(ROOT).as_posix() for p in (ROOT / "ntkverify").rglob("*") if p.is_file()}
    assert {p for p in package if "__pycache__" not in p} <= set(files)


def test_commands_work_away_from_the_clone(installed, tmp_path):
    command = installed / "ntkverify"
    where = _run(installed / "python", "-c", "import ntkverify; print(ntkverify.__file__)", where=tmp_path)
    assert Path(where).is_relative_to(installed.parent), "the wheel must not be hidden by the clone"
    listed = _run(command, "list", where=tmp_path)
    assert {path.stem for path in ROOT.glob("theorems/*/*.py")} <= set(listed.split())
    assert "||H^inf||" in _run(command, "show", "gradient_descent_regression", where=tmp_path)
    assert "9 holds, 3 refuted" in _run(command, "check", "truncated_entropy", where=tmp_path)
    _run(command, "report", "truncated_entropy", "--curve-draws", "0", where=tmp_path)
    assert "truncated_entropy" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_versions_agree():
    assert f"version: {ntkverify.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {ntkverify.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_what_the_package_imports_is_required():
    """Of packages that are no part of Python, each is a requirement or belongs to an extra that is named."""
    # those of CuPy, python-flint and z3-solver have other names on PyPI; mpmath comes with sympy, llvmlite with numba;
    # where pandas or pyarrow are missing, each use says what to install
    names = {"cupy", "cupyx", "flint", "mpmath", "llvmlite", "pandas", "pyarrow", "z3"}
    for line in metadata.requires("ntkverify"):
        names.add(re.match(r"[\w-]+", line)[0].replace("-", "_"))
    found = set()
    for path in (ROOT / "ntkverify").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    assert found - names - sys.stdlib_module_names - {"ntkverify"} == set()
