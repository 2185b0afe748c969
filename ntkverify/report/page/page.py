"""A page of HTML from its parts: one file, no request, no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import resources
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.report.files.changes import Change
from ntkverify.report.files.schema import GOOD, counts
from ntkverify.report.graph.drawing import style_sheet
from ntkverify.report.page.content import Part
from ntkverify.report.sentences import marked

#: what the page may load: what stands in it
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
)


def _asset(name: str) -> bytes:
    return resources.files(__package__).joinpath("assets", name).read_bytes()


def page_of(parts: Sequence[Part], *, changed: Sequence[Change] = (), against: str = "", command: str = "") -> str:
    """The page.

    Parameters
    ----------
    parts : sequence of Part
        The theorems, in order.
    changed, against
        What is different from which other file of verdicts.
    command : str
        What makes the page again.

    Raises
    ------
    NtkVerifyError
        Without Jinja2.
    """
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined
    except ImportError:
        raise NtkVerifyError(
            "a report needs Jinja2, which is not installed: pip install 'ntkverify[report]'."
        ) from None
    environment = Environment(
        loader=DictLoader({"page": _asset("page.html.jinja").decode()}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = marked
    records = [row for part in parts for row in (*part.rows, *part.controls)]
    said: dict[str, Any] = {
        "title": parts[0].theorem.title if len(parts) == 1 else f"Verdicts on {len(parts)} theorems",
        "counts": counts([{"verdict": row.verdict} for row in records]),
        "lemmas": sum(row.kind != "control" for row in records),
        "controls": sum(row.kind == "control" for row in records),
        "settings": list(dict.fromkeys(part.settings for part in parts if part.settings)),
        "good": GOOD,
    }
    font = base64.b64encode(_asset("math.woff2")).decode()
    style = style_sheet(max((part.nodes for part in parts), default=0)) + _asset("page.css").decode()
    return environment.get_template("page").render(
        parts=parts, changed=changed, against=against, command=command, policy=POLICY, style=style, font=font, **said
    )
