"""The page in a browser: no request, no error, no sideways scrolling, text that can be read; what it says."""

import html
import re
import shutil
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from ntkverify.report.files.changes import Change
from ntkverify.report.files.schema import SCHEMA
from ntkverify.report.page.content import part_of
from ntkverify.report.page.page import POLICY, page_of
from ntkverify.report.page.searched import Table
from ntkverify.report.page.trajectories import Curves
from ntkverify.theorem.loading import load_theorem

for needed in ("jinja2", "latex2mathml", "graphlay", "matplotlib"):
    pytest.importorskip(needed)
THEOREMS = Path(__file__).parents[3] / "theorems"
LONGEST = THEOREMS / "natural_gradient" / "gradient_descent_regression.py"
WITH_ERRATA = THEOREMS / "differentiation" / "sine_features.py"
WORDS = {"check": "ntkverify check it", "graph": "ntkverify report it -o graph.svg", "report": "ntkverify report it"}


def records(theorem):
    """Every word that there is, so that every colour is seen."""
    claims = cycle(["holds", "holds", "observed", "violated", "inconclusive", "not judged", "not exercised"])
    controls = cycle(["refuted", "not refuted", "inconclusive"])
    for number, claim in enumerate(theorem.claims.values()):
        word = next(controls if claim.kind == "control" else claims)
        yield {name: field.default for name, field in SCHEMA.items()} | {
            "theorem": theorem.id, "claim": claim.name, "kind": claim.kind, "quantifier": claim.quantifier.name,
            "verdict": word, "slack": 10.0 ** (number % 5) if claim.kind != "control" else 0.01, "instances": 40,
            "vacuous": 37, "unmet": {"width at least m_0": 37}, "seconds": 0.1,
            "evidence": f"evidence {number} & <more>",
            "level": "exact statistics", "missed": "rate < 0.13", "source": theorem.source.label,
            "settings": {"profile": "ci", "entropy": 7},
        }  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    at = np.arange(6.0)
    fall = np.exp(-np.outer([1.0, 1.1, 1.2], at))
    curves = [Curves("L(k) <= rate^k", "wide", "step", at, fall, 2 * fall, False, 4096)]
    tables = [
        Table("t", "which are needed", ("a", "without it"), (("lambda_0 > 0", "violated"),), ("note",), "ntkverify n")
    ]
    found = []
    for path in (LONGEST, WITH_ERRATA):
        theorem = load_theorem(path)
        mine = list(records(theorem))
        changed = [Change(theorem.id, mine[0]["claim"], "slack", "1", "2")]
        found.append(part_of(theorem, mine, curves=curves, tables=tables, changed=changed, words=WORDS))
    return found


@pytest.fixture(scope="module")
def page(parts, tmp_path_factory):
    changed = [Change("t", "lambda_0 <= 1", "verdict", "holds", "violated"), Change("t", "b", "gone", "holds", "")]
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page_of(parts, changed=changed, against="old.jsonl", command="ntkverify report"), encoding="utf-8")
    return file


class TestText:
    def test_it_says_all_that_was_found(self, page, parts):
        text = html.unescape(re.sub("<[^>]*>", "", page.read_text(encoding="utf-8").partition("</style>")[2]))
        for part in parts:
            assert part.theorem.id in text
            assert all(f"evidence {i} & <more>" in text for i in range(len(part.theorem.claims)))
        assert text.count("vacuous because of 'width at least m₀' in 92%") == 0
        assert "in 92%" in text
        assert all(command in text for command in WORDS.values())
        assert "Since old.jsonl" in text
        assert "derivation" in text
        assert "Errata of the source" in text

    def test_identifiers_occur_once_and_links_lead_somewhere(self, page):
        text = page.read_text(encoding="utf-8")
        names = re.findall(r'\sid="([^"]*)"', text)
        assert len(names) == len(set(names))
        assert set(re.findall(r'href="#([^"]*)"', text)) <= set(names)

    def test_it_loads_nothing_and_runs_nothing(self, page):
        text = page.read_text(encoding="utf-8")
        assert POLICY.startswith("default-src 'none';")
        assert html.escape(POLICY, quote=True).replace("&#x27;", "&#39;") in text
        assert "<script" not in text
        assert not re.search(r'(?:src|href)="(?!#|data:)', text)

    def test_it_is_the_same_every_time(self, page, parts):
        assert page_of(parts) == page_of(parts)


# -- in a browser -------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]

#: contrast of every text that is seen against what is behind it, of texts in a box of the graph against the box
CONTRAST = r"""
() => {
  const parts = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m.slice(0, 3), 1] : m; };
  const light = c => {
    const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat([1]);
  const ground = e => {
    const stack = [];
    for (let n = e; n; n = n.parentElement) {
      const c = parts(getComputedStyle(n).backgroundColor);
      if (c[3] > 0) stack.push(c);
      if (c[3] === 1) break;
    }
    return stack.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]);
  };
  const faint = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement, svg = e.closest('svg');
    if (!n.textContent.trim() || e.closest('style, title') || !e.checkVisibility()) continue;
    const box = svg && e.closest('.n')?.querySelector('rect');
    const behind = box ? parts(getComputedStyle(box).fill) : ground(svg ? svg.parentElement : e);
    const [a, b] = [light(parts(svg ? getComputedStyle(e).fill : getComputedStyle(e).color)), light(behind)];
    seen++;
    if (Math.max(a, b) / Math.min(a, b) < 4.5) faint.push(n.textContent.trim().slice(0, 60));
  }
  return {seen, faint};
}"""


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield found
        found.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(browser, page, width, scheme):
    view = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("request", lambda request: asked.append(request.url))
    view.goto(page.as_uri())
    assert view.evaluate("document.fonts.ready.then(() => [...document.fonts].map(f => f.status))") == ["loaded"]
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert said == []
    root = "document.documentElement"
    assert view.evaluate(f"{root}.scrollWidth") == view.evaluate(f"{root}.clientWidth") == width
    contrast = view.evaluate(CONTRAST)
    assert contrast["seen"] > 800
    assert contrast["faint"] == []
    view.close()


def test_a_link_brings_a_node_and_what_it_rests_on_into_focus(browser, page, parts):
    graph = "natural_gradient-gradient_descent_regression"
    view = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    opacity = "n => getComputedStyle(document.getElementById(n)).opacity"
    view.goto(page.as_uri())
    everything = view.evaluate(
        "[...document.querySelectorAll('.graph .o')].filter(e => getComputedStyle(e).opacity < 1)"
    )
    assert everything == []
    last = parts[0].nodes - 1
    view.goto(f"{page.as_uri()}#{graph}-n{last}")
    seen = view.evaluate(f"""[...document.querySelectorAll('#{graph}-graph a.o')]
        .filter(e => getComputedStyle(e).opacity === '1').map(e => e.id)""")
    dimmed = view.evaluate(f"""[...document.querySelectorAll('#{graph}-graph a.o')]
        .filter(e => getComputedStyle(e).opacity < 0.2).map(e => e.id)""")
    assert f"{graph}-n{last}" in seen
    assert 1 < len(seen) < parts[0].nodes
    assert len(seen) + len(dimmed) == parts[0].nodes
    assert view.evaluate(f"({opacity})('{seen[0]}')") == "1"
    assert view.locator(f".about.a{last}").first.is_visible()
    view.close()


def test_the_longest_graph_fits_a_laptop_and_is_legible(browser, page):
    view = browser.new_page(viewport={"width": 1366, "height": 768})
    view.goto(page.as_uri())
    box = view.evaluate(
        "(({width, height}) => [width, height])(document.querySelector('.graph').getBoundingClientRect())"
    )
    assert box[0] <= 1366
    assert box[1] <= 768
    font = view.evaluate("""(() => { const g = document.querySelector('.graph');
        return 10.5 * g.getBoundingClientRect().width / g.viewBox.baseVal.width; })()""")
    assert font >= 9
    view.close()


def test_no_label_of_a_graph_leaves_its_box(browser, page):
    view = browser.new_page(viewport={"width": 1366, "height": 768})
    view.goto(page.as_uri())
    outside = view.evaluate("""[...document.querySelectorAll('.graph a.n')].flatMap(a => {
        const box = a.querySelector('rect').getBoundingClientRect();
        return [...a.querySelectorAll('text')].filter(t => t.getBoundingClientRect().right > box.right + 1)
            .map(t => t.textContent); })""")
    assert outside == []
    view.close()


def test_on_paper_the_graph_is_whole_and_the_ground_is_white(browser, page):
    """In a dark room too, and as wide as a page in landscape is within its margins."""
    view = browser.new_page(viewport={"width": 1030, "height": 700}, color_scheme="dark")
    view.emulate_media(media="print")
    view.goto(page.as_uri())
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert view.evaluate("document.querySelector('.graph').getBoundingClientRect().right") <= 1030
    assert view.evaluate(CONTRAST)["faint"] == []
    hidden = "[...document.querySelectorAll('details p')].filter(p => p.getBoundingClientRect().height === 0).length"
    assert view.evaluate(hidden) == 0
    view.close()
