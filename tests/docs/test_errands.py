"""Three errands of new users, as the pages tell them: what stands there is run, and prints what the page shows."""

import contextlib
import io
import re

import numpy as np
import pytest
from shown import ROOT, agree, plain, run, without_figures


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def transcripts(text):
    """Commands of a page with the lines that it shows below them."""
    found = []
    for block in re.split(r"\n(?!    |\n)", text):
        for part in block.split("    $ ")[1:]:
            command, *lines = [line.removeprefix("    ") for line in part.rstrip().splitlines()]
            found.append((command, [line.rstrip() for line in lines]))
    return found


@pytest.fixture
def desk(tmp_path, monkeypatch, loaded_once):
    """A folder with twenty points, and with the theorems of the house."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (20, 2)).round(3)
    y = (np.sin(3 * x[:, 0]) + x[:, 1]).round(3)
    rows = np.column_stack([x, y])
    where = tmp_path / "mine"
    where.mkdir()
    np.savetxt(where / "points.csv", rows, delimiter=",", fmt="%g", header="x1,x2,y", comments="")
    (where / "theorems").symlink_to(ROOT / "theorems")
    monkeypatch.chdir(where)
    return where


def test_a_reviewer_gets_from_twenty_points_to_a_step_a_width_and_a_verdict(desk):
    """Two commands; the first prints to the digit what the page shows."""
    (show, told), (check, judged) = (t for t in transcripts(page("your_data.md")) if "gradient_descent" in t[0])
    status, printed = run(show)
    assert status == 0
    agree(told, printed, figures=plain)
    assert any(line.startswith("time ") for line in printed)
    status, printed = run(check)
    assert status == 0
    agree(judged, printed, figures=without_figures)


def test_a_student_checks_a_heavy_ball_theorem_of_ten_lines(desk):
    text = page("your_data.md")
    (module,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "HeavyBall" in code)
    assert len([line for line in module.splitlines() if line.strip()]) <= 10
    (desk / "heavy_ball.py").write_text(module, encoding="utf-8")
    (check, judged), (show, told) = (t for t in transcripts(text) if "heavy_ball" in t[0])
    status, printed = run(check)
    assert status == 0
    agree(judged, printed, figures=without_figures)
    status, printed = run(show)
    assert status == 0
    agree(told, printed, figures=plain)
    # and the claim can fail: a rate twice as fast is none
    (desk / "too_fast.py").write_text(module.replace("(2 * k)", "(16 * k)"), encoding="utf-8")
    assert run("ntkverify check too_fast.py")[0] == 1


def test_a_practitioner_diagnoses_a_network_in_ten_lines(desk):
    pytest.importorskip("matplotlib")
    text = page("diagnose.md")
    codes = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in codes[0].splitlines() if line.strip()]) <= 10
    output, names = io.StringIO(), {}
    with contextlib.redirect_stdout(output):
        for code in codes:
            exec(compile(code, "diagnose.md", "exec"), names)  # the page's own code
    shown = [line[4:] for line in text.partition("prints\n")[2].partition("In a notebook")[0].strip("\n").splitlines()]
    *printed, ratio = output.getvalue().splitlines()
    agree(shown, printed, figures=without_figures)
    assert f"prints {ratio}:" in text
    assert (desk / "heat.png").stat().st_size > 1000
    assert names["n"].limit.norm > names["s"].limit.norm


def test_the_page_on_data_shows_python_that_runs(desk):
    code = next(c for c in re.findall(r"```python\n(.*?)```", page("your_data.md"), re.DOTALL) if "load_theorem" in c)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "your_data.md", "exec"), {})  # the page's own code
    first, second = output.getvalue().splitlines()
    assert first.startswith("0.00541985")
    assert second == "observed violated"
