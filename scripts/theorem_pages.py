"""The README's table of theorems and its picture, and the gallery of the pages, from a file of verdicts.

`pytest theorems/ --ntk-profile ci --verdicts FILE` writes such a file; `python scripts/theorem_pages.py FILE` keeps it
as docs/verdicts.jsonl, without the instances, and writes table and picture anew. Without FILE these are made of what is
kept. The gallery is made of it whenever the pages are built.
"""

import argparse
import ast
import json
from collections.abc import Sequence
from pathlib import Path

from ntkverify.report.files.schema import SCHEMA, Record, read_verdicts
from ntkverify.report.table import format_slack

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "verdicts.jsonl"
PICTURE, PICTURED = ROOT / "docs" / "proof.svg", "natural_gradient/gradient_descent_regression"
BEGIN, END = "<!-- table of theorems: python scripts/theorem_pages.py -->", "<!-- end of the table -->"


def keep(file: Path) -> None:
    """Keep the verdicts of a file, theorem by theorem, without instances and times."""
    dropped = {"witness": None, "seconds": 0, "unmet": {}}
    place = {name: number for number, name in enumerate(modules())}
    rows = [{**record, **dropped} for record in read_verdicts(file).records]
    rows.sort(key=lambda row: place.get(row["theorem"], len(place)))
    lines = [json.dumps({k: v for k, v in row.items() if v != SCHEMA[k].default}) for row in rows]
    KEPT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def by_theorem() -> dict[str, tuple[Record, ...]]:
    """Verdicts that are kept, of each theorem that is still there."""
    kept = read_verdicts(KEPT)
    return {name: kept.of(name) for name in modules() if name in kept.theorems}


def picture() -> str:
    """The proof of one theorem with verdicts and slacks, in SVG."""
    from ntkverify import load_theorem
    from ntkverify.report.graph.drawing import standalone
    from ntkverify.report.graph.model import proof_graph

    theorem = load_theorem(modules()[PICTURED])
    return standalone(proof_graph(theorem, by_theorem()[PICTURED]), "proof", title=theorem.title)


def modules() -> dict[str, Path]:
    """Modules of theorems by the name that verdicts have for them, folder by folder."""
    return {f"{path.parent.name}/{path.stem}": path for path in sorted((ROOT / "theorems").glob("*/*.py"))}


def docstring(name: str) -> str:
    """What a theorem's module says of it."""
    path = modules()[name]
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def counted(verdicts: Sequence[Record]) -> str:
    """'9 of 9 hold, 3 of 3 refuted'."""
    claims = [v["verdict"] for v in verdicts if v["kind"] != "control"]
    controls = [v["verdict"] for v in verdicts if v["kind"] == "control"]
    other = {word: claims.count(word) for word in sorted(set(claims) - {"holds"})}
    words = [f"{claims.count('holds')} of {len(claims)} hold", *(f"{count} {word}" for word, count in other.items())]
    return ", ".join([*words, f"{controls.count('refuted')} of {len(controls)} refuted"])


def conclusions(verdicts: Sequence[Record]) -> str:
    """Slack of the conclusions from the tightest to the loosest; equations have none."""
    slacks = [v["slack"] for v in verdicts if v["kind"] == "conclusion" and v["quantifier"] != "identity"]
    found = sorted(slack for slack in slacks if slack is not None)
    return " to ".join(dict.fromkeys(format_slack(slack) for slack in (found[:1] + found[-1:]))) or "-"


def cell(text: str) -> str:
    """Text in a cell of a table, nothing of it markup."""
    return "".join("\\" + sign if sign in "\\|*_`<>[]$^~#" else sign for sign in text)


def table() -> str:
    """The README's table, paper by paper."""
    lines: list[str] = []
    folder = ""
    for name, found in by_theorem().items():
        if (own := name.partition("/")[0]) != folder:
            folder = own
            lines += ["", f"**`theorems/{folder}/`**", ""]
            lines += ["| module | what it says | claims, controls | slack |", "|---|---|---|---|"]
        says = docstring(name).splitlines()[0].rstrip(".")
        lines.append(f"| `{name.partition('/')[2]}` | {cell(says)} | {counted(found)} | {conclusions(found)} |")
    return "\n".join(lines).strip() + "\n"


def with_table(text: str) -> str:
    """A page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}"


def page(name: str, verdicts: Sequence[Record]) -> str:
    """The page of one theorem: what its module says, and what became of its claims."""
    first, _, rest = docstring(name).partition("\n")
    lines = [
        f"# {cell(first.rstrip('.'))}",
        "",
        f"`theorems/{name}.py`; {cell(verdicts[0]['source'])}; {counted(verdicts)}.",
        "",
    ]
    if rest.strip():
        lines += ["```text", rest.strip("\n"), "```", ""]
    lines += ["| claim | quantifier | verdict | slack | instances | rests on |", "|---|---|---|---|---|---|"]
    for v in verdicts:
        claim = ("control: " if v["kind"] == "control" else "") + v["claim"]
        rests = "; ".join(cell(v[part]) for part in ("level", "missed") if v[part])
        quantifier = v["quantifier"].replace("_", " ")
        row = [cell(claim), cell(quantifier), v["verdict"], format_slack(v["slack"]), f"{v['instances']:,}", rests]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join([*lines, "", f"    ntkverify check {name}", "    " + f"ntkverify show {name}", ""])


def gallery(folder: Path) -> None:
    """Write the gallery, a page for each theorem and one that lists them, into a folder of pages."""
    verdicts = by_theorem()
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        path.unlink()
    lines = [
        "# Theorems", "", "What one check said of every theorem, drawn as the profile `ci` draws:", "",
        "    pytest theorems/ --ntk-profile ci --verdicts FILE", "    python scripts/theorem_pages.py FILE", "",
        "*Claims, controls*: a control is false on purpose and has to be refuted. *Slack*: bound over measured, of the",
        "tightest and of the loosest conclusion; 1 is sharp. [](../trust.md) says what the words rest on.", "",
    ]  # fmt: skip
    tables: dict[str, list[str]] = {}
    for name in modules():
        paper, _, module = name.partition("/")
        rows = tables.setdefault(paper, ["| theorem | claims, controls | slack |", "|---|---|---|"])
        if name not in verdicts:
            rows.append(f"| {cell(docstring(name).splitlines()[0])} | not among these verdicts | - |")
            continue
        (folder / f"{paper}-{module}.md").write_text(page(name, verdicts[name]), encoding="utf-8")
        says, found = cell(docstring(name).splitlines()[0].rstrip(".")), verdicts[name]
        rows.append(f"| [{says}]({paper}-{module}.md) | {counted(found)} | {conclusions(found)} |")
    for paper, rows in tables.items():
        lines += [f"## `theorems/{paper}/`", "", *rows, ""]
    lines += ["```{toctree}", ":hidden:", ":glob:", "", "*-*", "```", ""]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Write table and picture, and before that keep what FILE says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="verdicts, as --verdicts writes them")
    given = parser.parse_args()
    if given.file:
        keep(given.file)
    PICTURE.write_text(picture(), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
