"""Table, picture and gallery are made of the verdicts that are kept; `python scripts/theorem_pages.py` writes them."""

import re
import sys

import pytest
from shown import ROOT

sys.path.append(str(ROOT / "scripts"))
import theorem_pages as pages

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_readme_is_up_to_date():
    assert pages.with_table(README) == README
    assert README.count(" hold, ") >= len(pages.by_theorem()) >= 40


def test_the_picture_is_up_to_date():
    pytest.importorskip("graphlay")
    # what it says, not how it is laid out and styled
    said, kept = (sorted(re.findall(r">([^<>{}]+)<", t)) for t in (pages.picture(), pages.PICTURE.read_text("utf-8")))
    assert said == kept
    assert len(kept) > 50


def test_a_verdict_that_is_not_as_it_should_be_is_told():
    good = {"kind": "lemma", "verdict": "holds"}
    bad = {"kind": "lemma", "verdict": "violated"}
    blind = {"kind": "control", "verdict": "not refuted"}
    assert pages.counted([good, good]) == "2 of 2 hold, 0 of 0 refuted"
    assert pages.counted([good, bad, blind]) == "1 of 2 hold, 1 violated, 0 of 1 refuted"


def test_the_gallery_names_every_theorem(tmp_path):
    pages.gallery(tmp_path / "gallery")
    listed = (tmp_path / "gallery" / "index.md").read_text(encoding="utf-8")
    for name in pages.modules():
        page = f"{name.replace('/', '-')}.md"
        assert (page in listed) == (name in pages.by_theorem())
        assert (tmp_path / "gallery" / page).exists() == (page in listed)
    text = (tmp_path / "gallery" / "natural_gradient-gradient_descent_regression.md").read_text(encoding="utf-8")
    assert "control: " in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) >= 40


def test_what_a_claim_says_is_no_markup():
    assert pages.cell("||H^inf|| <= a_1 * [x]") == r"\|\|H\^inf\|\| \<= a\_1 \* \[x\]"
