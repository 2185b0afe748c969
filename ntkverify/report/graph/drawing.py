"""The graph of a proof as a layered drawing in SVG, laid out by graphlay and styled by ``graph.css``.

A link that ends in ``#ID-nNUMBER`` brings one node into focus, with all that it rests on, without a line of JavaScript:
every node and edge carries a class for each node in whose view it is, and the style sheet dims the others.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.report.graph.model import Node, ProofGraph
from ntkverify.report.sentences import plain
from ntkverify.report.table import format_slack

#: what a laptop shows at once of a page, in pixels
SCREEN = (1240.0, 620.0)
_WIDTH, _LINE, _PAD, _LINES = 140.0, 12.5, 5.0, 4  # of a claim's box
_FOOT = 13.0  # the line with letters and slack
_HANG = 7.0  # half of a control's mark
_FONT = 10.5
_ROUND = 5.0  # of corners of edges

_LAYOUT: dict[str, Any] = {
    "spacing": {
        "layer_gap": 16, "node_gap": 9, "dummy_gap": 4, "port_gap": 4, "port_stroke_clear": 3, "stub": 6,
        "isolated_gap": 9, "reroute_node_gap": 8, "bundle_lane_gap": 3,
    },
    "routing": {"style": "orthogonal", "lane_gap": 4},
}  # fmt: skip


@dataclass(frozen=True)
class _Box:
    """A node with its text in lines."""

    node: Node
    lines: tuple[str, ...]
    width: float
    height: float

    @property
    def hang(self) -> float:
        return _HANG if self.node.controls else 0.0

    @property
    def has_foot(self) -> bool:
        return bool(self.node.premises or self.node.sound or self.node.slack is not None)


@dataclass(frozen=True)
class Drawing:
    """A drawing.

    Parameters
    ----------
    svg : str
        The element, without a style sheet.
    width, height : float
        Its size where nothing is scaled, in pixels.
    """

    svg: str
    width: float
    height: float

    @property
    def scale(self) -> float:
        """By how much it shrinks to fit a laptop's screen; 1 at the most."""
        return min(1.0, SCREEN[0] / self.width, SCREEN[1] / self.height)

    @property
    def smallest_font(self) -> float:
        """Pixels of its text on such a screen."""
        return _FONT * self.scale


def style_sheet(most: int) -> str:
    """The style of drawings with at most so many nodes."""
    text = resources.files(__package__).joinpath("graph.css").read_text(encoding="utf-8")
    return text + "".join(
        f'.graph:has([id$="-n{i}"]:target) .o:not(.u{i}){{opacity:.13}}'
        f'.proof:has([id$="-n{i}"]:target) .a{i}{{display:block}}\n'
        for i in range(most)
    )


def standalone(graph: ProofGraph, name: str, *, title: str) -> str:
    """A file of SVG that a browser shows by itself, focus included."""
    found = draw(graph, name, title=title)
    style = f"<style>{style_sheet(len(graph.nodes))}\n:root{{background:var(--paper)}}</style>"
    head, _, rest = found.svg.partition(">")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'


def draw(graph: ProofGraph, name: str, *, title: str) -> Drawing:
    """The drawing of a graph.

    Parameters
    ----------
    graph : ProofGraph
        What to draw.
    name : str
        Begins the identifiers of its nodes.
    title : str
        What the drawing is of, for readers who can't see it.

    Raises
    ------
    NtkVerifyError
        Without graphlay.
    """
    boxes = {key: _boxed(node) for key, node in graph.nodes.items() if node.kind != "premise"}
    candidates = [_laid_out(graph, boxes, direction) for direction in ("leftright", "topbottom")]
    layout = max(candidates, key=_fit)
    low, high = layout.bounds["min"], layout.bounds["max"]
    width = max(high["x"] - low["x"], 480.0) + 4
    focus = {key: graph.focus(key) for key in graph.nodes}
    views = {key: [graph.numbers[other] for other, seen in focus.items() if key in seen] for key in graph.nodes}
    rail, top = _rail(graph, name, width, views)
    shift = (2 - low["x"] + (width - 4 - (high["x"] - low["x"])) / 2, top - low["y"])
    height = top + high["y"] - low["y"] + 3
    edges = [
        _edge(route["points"], shift, [graph.numbers[k] for k, seen in focus.items() if b in seen and a in seen])
        for (a, b), route in zip(graph.edges, layout.edges, strict=True)
    ]
    nodes = [
        _node(box, place, shift, f"{name}-n{graph.numbers[key]}", views[key], blamed=key == graph.loosest)
        for (key, box), place in zip(boxes.items(), layout.nodes, strict=True)
    ]
    svg = (
        f'<svg class="graph" id="{name}-graph" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="group" aria-label="{html.escape(title)}">'
        f'<defs><marker id="{name}-tip" viewBox="0 0 6 6" refX="5.2" refY="3" markerWidth="5" markerHeight="5" '
        f'orient="auto"><path class="tip" d="M0 0L6 3L0 6z"/></marker></defs>'
        + "".join([*rail, *(edge.replace("TIP", f"{name}-tip") for edge in edges), *nodes])
        + "</svg>"
    )
    return Drawing(svg, width, height)


def _fit(layout: Any) -> float:
    low, high = layout.bounds["min"], layout.bounds["max"]
    scale = min(1.0, SCREEN[0] / (high["x"] - low["x"] + 4), (SCREEN[1] - 40) / (high["y"] - low["y"] + 4))
    return float(scale)


def _laid_out(graph: ProofGraph, boxes: dict[str, _Box], direction: str) -> Any:
    try:
        import graphlay
    except ImportError:
        raise NtkVerifyError(
            "a graph needs graphlay, which is not installed: pip install 'ntkverify[report]'."
        ) from None
    wanted = graphlay.Graph()
    for key, box in boxes.items():
        wanted.node(key, width=box.width, height=box.height + box.hang)
    for start, end in graph.edges:
        wanted.edge(start, end)
    return graphlay.layout(wanted, options={**_LAYOUT, "direction": direction})


# -- text --------------------------------------------------------------------------------------------------------

_NARROW, _MIDDLE, _WIDE = "iljI.,:;'|! ", "tfr()[]/‖-_", "mwMW∞√→≤≥−—=+<>"
_SMALL = "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ⁰¹²³⁴⁵⁶⁷⁸⁹ᵏᵐⁿᵖᵗ⁻"


def text_width(text: str) -> float:
    """About how wide a text is at the drawing's size in DejaVu Sans, the widest face that the style sheet names."""

    def share(sign: str) -> float:
        if sign in _NARROW:
            return 0.32
        if sign in _MIDDLE:
            return 0.41
        if sign in _WIDE:
            return 0.86
        if sign in _SMALL:
            return 0.42
        return 0.7 if sign.isupper() else 0.61

    return _FONT * sum(map(share, text))


def wrapped(text: str, width: float, most: int) -> tuple[str, ...]:
    """A text in lines of at most this width; what is left over ends in an ellipsis."""
    lines, words = [""], text.split()
    for place, word in enumerate(words):
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = _cut(" ".join([lines[-1], *words[place:]]), width)
            break
    return tuple(line if text_width(line) <= width else _cut(line, width) for line in lines)


def _cut(text: str, width: float) -> str:
    while text and text_width(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _boxed(node: Node) -> _Box:
    if node.kind == "constant":
        label = plain(node.name)
        return _Box(node, (label,), max(34.0, text_width(label) + 16), 20.0)
    lines = wrapped(plain(node.name), _WIDTH - 2 * _PAD, _LINES)
    box = _Box(node, lines, _WIDTH, 0.0)
    height = len(lines) * _LINE + 2 * _PAD - 1 + (_FOOT if box.has_foot else 0)
    return _Box(node, lines, _WIDTH, height)


# -- marks -------------------------------------------------------------------------------------------------------


def _classes(*names: str, views: Sequence[int] = ()) -> str:
    return " ".join([*(name for name in names if name), *(f"u{i}" for i in views)])


def _rail(graph: ProofGraph, name: str, width: float, views: dict[str, list[int]]) -> tuple[list[str], float]:
    """Premises on lines above the graph, and how much room they take."""
    found, x, y = [], 2.0, 2.0
    for key, node in graph.nodes.items():
        if node.kind != "premise":
            continue
        label = _cut(plain(node.name), width - 40) if text_width(plain(node.name)) > width - 40 else plain(node.name)
        size = text_width(label) + 30
        if x > 2 and x + size > width:
            x, y = 2.0, y + 22
        anchor, classes = f"{name}-n{graph.numbers[key]}", _classes("n", "premise", "o", views=views[key])
        found.append(
            f'<a class="{classes}" id="{anchor}" href="#{anchor}">'
            f"<title>premise {node.letter}: {html.escape(node.name)}</title>"
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{size - 6:.1f}" height="18" rx="3"/>'
            f'<text class="letter" x="{x + 6:.1f}" y="{y + 12.7:.1f}">{node.letter}</text>'
            f'<text x="{x + 18:.1f}" y="{y + 12.7:.1f}">{html.escape(label)}</text></a>'
        )
        x += size + 4
    return found, y + 28 if found else 2.0


def _edge(points: Sequence[dict[str, float]], shift: tuple[float, float], views: Sequence[int]) -> str:
    at = [(p["x"] + shift[0], p["y"] + shift[1]) for p in points]
    path = [f"M{at[0][0]:.1f} {at[0][1]:.1f}"]
    for before, corner, after in zip(at, at[1:], at[2:], strict=False):
        path.append("L{:.1f} {:.1f}".format(*_toward(corner, before)))
        path.append("Q{:.1f} {:.1f} {:.1f} {:.1f}".format(*corner, *_toward(corner, after)))
    path.append(f"L{at[-1][0]:.1f} {at[-1][1]:.1f}")
    return f'<path class="{_classes("e", "o", views=views)}" d="{"".join(path)}" marker-end="url(#TIP)"/>'


def _toward(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """A little way from a corner; half of the way where that is shorter."""
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    share = min(_ROUND / length, 0.5) if length else 0.0
    return corner[0] + share * (other[0] - corner[0]), corner[1] + share * (other[1] - corner[1])


def _node(
    box: _Box, place: dict[str, Any], shift: tuple[float, float], name: str, views: Sequence[int], *, blamed: bool
) -> str:
    node = box.node
    x = place["center"]["x"] - box.width / 2 + shift[0]
    y = place["center"]["y"] - (box.height + box.hang) / 2 + shift[1]
    verdict = f"v-{node.verdict.replace(' ', '-')}" if node.verdict else ""
    classes = _classes("n", node.kind, verdict, f"s{node.shade}", "blamed" if blamed else "", "o", views=views)
    round_ = box.height / 2 if node.kind == "constant" else 4
    parts = [
        f'<a class="{classes}" id="{name}" href="#{name}"><title>{html.escape(_said(node))}</title>',
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{round_:.0f}"/>',
    ]
    if node.kind == "constant":
        parts.append(
            f'<text class="symbol" x="{x + box.width / 2:.1f}" y="{y + 13.6:.1f}">{html.escape(box.lines[0])}</text>'
        )
        return "".join([*parts, "</a>"])
    spans = "".join(
        f'<tspan x="{x + _PAD:.1f}" y="{y + _PAD + 8.5 + i * _LINE:.1f}">{html.escape(line)}</tspan>'
        for i, line in enumerate(box.lines)
    )
    parts.append(f"<text>{spans}</text>")
    foot = y + box.height - 5
    left = " ".join(node.premises)
    if left:
        parts.append(f'<text class="letter" x="{x + _PAD:.1f}" y="{foot:.1f}">{left}</text>')
    right = [f"×{format_slack(node.slack)}"] if node.slack is not None else []
    right += ["✓✓"] if node.sound else []
    if right:
        parts.append(f'<text class="slack" x="{x + box.width - _PAD:.1f}" y="{foot:.1f}">{"  ".join(right)}</text>')
    parts.append("</a>")
    parts += _controls(box, x + _PAD + 8 + text_width(left), y + box.height, views)
    return "".join(parts)


def _controls(box: _Box, x: float, y: float, views: Sequence[int]) -> Iterator[str]:
    for place, control in enumerate(box.node.controls):
        verdict = f"v-{control.verdict.replace(' ', '-')}"
        yield (
            f'<g class="{_classes("control", verdict, "o", views=views)}"><title>control, {control.verdict}: '
            f'{html.escape(control.name)}</title><circle cx="{x + 13 * place:.1f}" cy="{y:.1f}" r="5.5"/>'
            f'<path d="M{x + 13 * place - 2.2:.1f} {y - 2.2:.1f}l4.4 4.4m0 -4.4l-4.4 4.4"/></g>'
        )


def _said(node: Node) -> str:
    """What a pointer that rests on a node is told."""
    if node.kind == "constant":
        return f"constant {node.name}: {node.meaning}"
    said = [f"{node.kind}: {node.name}", node.verdict]
    said += [f"slack {format_slack(node.slack)}"] if node.slack is not None else []
    said += ["and so does everything below"] if node.sound else []
    return "\n".join([said[0], ", ".join(said[1:]), *(f"control, {c.verdict}: {c.name}" for c in node.controls)])
