"""The table of theorems in the README, and the gallery of the pages, from a file of verdicts.

`pytest theorems/ --ntk-profile ci --verdicts FILE` writes such a file; `python scripts/theorem_pages.py FILE` keeps of
it, in docs/verdicts.jsonl, what pages show, and writes the README's table anew. Without FILE the table alone is
written. The gallery is made of the same file whenever the pages are built.
"""

import argparse
import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "verdicts.jsonl"
BEGIN, END = "<!-- table of theorems: python scripts/theorem_pages.py -->", "<!-- end of the table -->"
#: what of a verdict the pages show
FIELDS = ("theorem", "claim", "kind", "quantifier", "verdict", "slack", "instances", "level", "missed", "source")
Verdict = Mapping[str, Any]


def read(path: Path) -> list[dict[str, Any]]:
    """Verdicts, one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def keep(verdicts: Iterable[Verdict]) -> None:
    """Write what the pages show of them, sorted, slacks to three digits."""
    rows = [{field: verdict[field] for field in FIELDS} for verdict in verdicts]
    for row in rows:
        row["slack"] = None if row["slack"] is None else float(f"{row['slack']:.3g}")
    place = {name: number for number, name in enumerate(modules())}
    rows.sort(key=lambda row: place.get(row["theorem"], len(place)))
    KEPT.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def modules() -> dict[str, Path]:
    """Modules of theorems by the name that verdicts have for them, folder by folder."""
    return {f"{path.parent.name}/{path.stem}": path for path in sorted((ROOT / "theorems").glob("*/*.py"))}


def docstring(name: str) -> str:
    """What a theorem's module says of it."""
    path = modules()[name]
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def by_theorem(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Verdicts of each theorem."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict["theorem"], []).append(verdict)
    return found


def counted(verdicts: list[Verdict]) -> str:
    """'9 of 9 hold, 3 of 3 refuted'."""
    claims = [v["verdict"] for v in verdicts if v["kind"] != "control"]
    controls = [v["verdict"] for v in verdicts if v["kind"] == "control"]
    other = {word: claims.count(word) for word in sorted(set(claims) - {"holds"})}
    words = [f"{claims.count('holds')} of {len(claims)} hold", *(f"{count} {word}" for word, count in other.items())]
    return ", ".join([*words, f"{controls.count('refuted')} of {len(controls)} refuted"])


def shown(slack: float | None) -> str:
    """A slack to three digits."""
    return "-" if slack is None else f"{slack:.3g}"


def conclusions(verdicts: list[Verdict]) -> str:
    """Slack of the conclusions from the tightest to the loosest; equations have none."""
    slacks = [v["slack"] for v in verdicts if v["kind"] == "conclusion" and v["quantifier"] != "identity"]
    found = sorted(slack for slack in slacks if slack is not None)
    return " to ".join(dict.fromkeys(shown(slack) for slack in (found[:1] + found[-1:]))) or "-"


def cell(text: str) -> str:
    """Text in a cell of a table, nothing of it markup."""
    return "".join("\\" + sign if sign in "\\|*_`<>[]$^~#" else sign for sign in text)


def table(verdicts: list[Verdict]) -> str:
    """The README's table, paper by paper."""
    lines: list[str] = []
    folder = ""
    for name, found in by_theorem(verdicts).items():
        if name not in modules():
            continue
        if (own := name.partition("/")[0]) != folder:
            folder = own
            lines += ["", f"**`theorems/{folder}/`**", ""]
            lines += ["| module | what it says | claims, controls | slack |", "|---|---|---|---|"]
        says = docstring(name).splitlines()[0].rstrip(".")
        lines.append(f"| `{name.partition('/')[2]}` | {cell(says)} | {counted(found)} | {conclusions(found)} |")
    return "\n".join(lines).strip() + "\n"


def with_table(text: str, verdicts: list[Verdict]) -> str:
    """A page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table(verdicts)}\n{END}{rest.partition(END)[2]}"


def page(name: str, verdicts: list[Verdict]) -> str:
    """The page of one theorem: what its module says, and what became of its claims."""
    first, _, rest = docstring(name).partition("\n")
    lines = [f"# {cell(first)}", "", f"`theorems/{name}.py`; {cell(verdicts[0]['source'])}; {counted(verdicts)}.", ""]
    if rest.strip():
        lines += ["```text", rest.strip("\n"), "```", ""]
    lines += ["| claim | quantifier | verdict | slack | instances | rests on |", "|---|---|---|---|---|---|"]
    for v in verdicts:
        claim = ("control: " if v["kind"] == "control" else "") + v["claim"]
        rests = "; ".join(cell(v[part]) for part in ("level", "missed") if v[part])
        quantifier = v["quantifier"].replace("_", " ")
        row = [cell(claim), cell(quantifier), v["verdict"], shown(v["slack"]), f"{v['instances']:,}", rests]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join([*lines, "", f"    ntkverify check {name}", "    " + f"ntkverify show {name}", ""])


def gallery(folder: Path) -> None:
    """Write the gallery, a page for each theorem and one that lists them, into a folder of pages."""
    verdicts = by_theorem(read(KEPT))
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
    """Write the table, and before that keep what FILE says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="verdicts, as --verdicts writes them")
    given = parser.parse_args()
    if given.file:
        keep(read(given.file))
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), read(KEPT)), encoding="utf-8")


if __name__ == "__main__":
    main()
