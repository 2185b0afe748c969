"""The drawing of a proof: well-formed, on a laptop's screen, the same every time; colours that can be read."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ntkverify.report.graph.drawing import SCREEN, draw, standalone, style_sheet, text_width, wrapped
from ntkverify.report.graph.model import proof_graph
from ntkverify.theorem.loading import load_theorem

graphlay = pytest.importorskip("graphlay")
THEOREMS = Path(__file__).parents[3] / "theorems"
LONGEST = THEOREMS / "natural_gradient" / "gradient_descent_regression.py"
SVG = "{http://www.w3.org/2000/svg}"
LEGIBLE = 9.0  #: pixels


@pytest.fixture(scope="module")
def graph():
    return proof_graph(load_theorem(LONGEST))


def test_the_longest_theorem_is_legible_on_a_laptop(graph):
    found = draw(graph, "x", title="T")
    assert found.width * found.scale <= SCREEN[0] + 1
    assert found.height * found.scale <= SCREEN[1] + 1
    assert found.smallest_font >= LEGIBLE


def test_a_file_of_it_is_well_formed_and_the_same_every_time(graph):
    text = standalone(graph, "x", title="a < b & c")
    assert text == standalone(graph, "x", title="a < b & c")
    root = ET.fromstring(text)
    nodes = {a.get("id"): a for a in root.iter(f"{SVG}a")}
    assert len(nodes) == len(graph.nodes)
    assert all(a.get("href") == f"#{name}" for name, a in nodes.items())
    assert len([p for p in root.iter(f"{SVG}path") if p.get("class", "").startswith("e ")]) == len(graph.edges)


def test_nodes_do_not_overlap(graph):
    root = ET.fromstring(standalone(graph, "x", title="T"))
    boxes = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in root.iter(f"{SVG}rect")]
    for one, other in itertools.combinations(boxes, 2):
        assert any(a[i] + a[i + 2] <= b[i] for i in (0, 1) for a, b in ((one, other), (other, one)))


def test_every_node_in_view_carries_the_class_that_the_style_sheet_looks_for(graph):
    root = ET.fromstring(standalone(graph, "x", title="T"))
    classes = {a.get("id"): a.get("class").split() for a in root.iter(f"{SVG}a")}
    numbers = graph.numbers
    for name in graph.nodes:
        seen = {other for other in graph.nodes if f"u{numbers[name]}" in classes[f"x-n{numbers[other]}"]}
        assert seen == graph.focus(name)
    assert '[id$="-n45"]:target) .o:not(.u45)' in style_sheet(len(graph.nodes))


class TestWrapping:
    def test_lines_keep_their_width_and_end_in_an_ellipsis(self):
        lines = wrapped("one two three four five six seven eight nine ten", 60, 3)
        assert len(lines) == 3
        assert all(text_width(line) <= 60 for line in lines)
        assert lines[-1].endswith("…")

    def test_what_fits_is_whole(self):
        assert wrapped("one two", 200, 3) == ("one two",)

    def test_a_word_that_is_too_long_is_cut(self):
        (line,) = wrapped("x" * 80, 60, 3)
        assert text_width(line) <= 60


# -- colours ---------------------------------------------------------------------------------------------------


def luminance(colour):
    """Relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", range(3), ids=["light", "dark", "print"])
def test_text_stands_out_from_every_ground(theme):
    block = re.findall(r":root \{(.*?)\}", style_sheet(0), re.DOTALL)[theme]
    colour = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    grounds = [n for n in colour if re.fullmatch(r"(good|seen)\d|open|bad|none|paper|wash", n)]
    assert len(grounds) == 13
    assert {
        n: round(contrast(colour["ink"], colour[n]), 2) for n in grounds if contrast(colour["ink"], colour[n]) < 4.5
    } == {}
    for name in ("muted", "link"):
        assert min(contrast(colour[name], colour[ground]) for ground in ("paper", "wash")) >= 4.5
