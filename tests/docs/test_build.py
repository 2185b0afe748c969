"""The pages are built without a warning, their links lead somewhere, and every public name is on one of them."""

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ntkverify
import ntkverify.execution
import ntkverify.training

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
import reference_pages  # noqa: E402


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """What Sphinx knows after it has read every page and followed every link of a copy of them."""
    where = tmp_path_factory.mktemp("pages")
    unbuilt = shutil.ignore_patterns("_build", "api", "gallery")
    shutil.copytree(ROOT / "docs", where / "docs", ignore=unbuilt)
    for folder in ("ntkverify", "scripts", "theorems"):
        (where / folder).symlink_to(ROOT / folder)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy", "-d", "read", "docs", "built"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pickle.loads((where / "read" / "environment.pickle").read_bytes())


@pytest.mark.heavy
def test_pages_are_built_without_a_warning_and_no_public_name_is_missing(environment):
    documented = set(environment.domaindata["py"]["objects"])
    places = [module for place in reference_pages.PLACES for module in reference_pages.modules(place)]
    public = {f"{module}.{name}" for module in places for name in reference_pages.defined(module)}
    assert len(public) > 500
    assert sorted(public - documented) == []
    # a name of a package is documented where it is defined
    for package in (ntkverify, ntkverify.training, ntkverify.execution):
        for name, module in reference_pages.handed_on(package.__name__).items():
            kind = type(getattr(package, name))
            assert f"{module}.{name}" in documented or kind in (float, tuple) or name == "Measurements", name
        assert set(package.__all__) == set(reference_pages.handed_on(package.__name__))


@pytest.mark.heavy
def test_every_theorem_with_verdicts_has_a_page(environment):
    pages = {page for page in environment.found_docs if page.startswith("gallery/")}
    assert "gallery/natural_gradient-gradient_descent_regression" in pages
    assert len(pages) > len(list((ROOT / "theorems").glob("*/*.py"))) // 2


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert len(local) >= 10
    assert [target for target in local if not (ROOT / target).exists()] == []
