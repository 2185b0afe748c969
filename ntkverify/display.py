"""How objects show themselves in a notebook: escaped text, tables, and what opens when it is clicked."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ntkverify.errors import NtkVerifyError


def tagged(tag: str, content: Any) -> str:
    """Text in a tag, escaped."""
    return f"<{tag}>{html.escape(str(content))}</{tag}>"


def details_html(summary: str, body: str) -> str:
    """A line of text that opens HTML when it is clicked."""
    return f"<details>{tagged('summary', summary)}{body}</details>"


def table_html(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; its cells are text."""
    head = "".join(tagged("th", heading) for heading in headings)
    body = "".join(f"<tr>{''.join(tagged('td', cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def formula_html(latex: str) -> str:
    """A displayed formula, which Jupyter typesets."""
    return f"<div>$${html.escape(latex)}$$</div>"


def data_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A pandas data frame of rows.

    Raises
    ------
    NtkVerifyError
        Without pandas.
    """
    try:
        import pandas
    except ImportError:
        raise NtkVerifyError(
            "a data frame needs pandas: pip install pandas, or take the rows as they are with to_dict()."
        ) from None
    return pandas.DataFrame(list(rows))
