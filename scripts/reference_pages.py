"""The reference of public names: one page for each package, written from the modules whenever the pages are built.

A name is public if neither it nor a module on the way to it has an underscore in front.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path

from theorem_pages import cell

ROOT = Path(__file__).parents[1]
#: package or module, and the title of its page
PLACES = {
    "training": "Training: methods, the loop that follows them, the record",
    "problems": "Problems: what is trained, and the runs that answer for a bound's symbols",
    "lemmas": "Lemma parts: links of proofs that theorems share",
    "instances": "Instances: strategies for data, families that theorems share",
    "glossary": "Glossary: symbols that all theorems share",
    "measures": "Measures: what is observed of a start and of a step",
    "symbolic.network": "A neuron: activation, operator, laws of the weights",
    "symbolic.limit": "Limits for infinite width",
    "symbolic.constants": "Derived constants, chains of inequalities",
    "symbolic.expression": "Functions of a neuron",
    "symbolic.expectation": "Gaussian and uniform expectations",
    "execution": "Executors: one neuron, several ways to run it",
    "theorem": "Theorem, claim, instance, proof",
    "judging": "From a run to a verdict",
    "diagnosis": "A physics-informed network before it is trained",
    "data": "A theorem at given data",
    "report": "Reports of verdicts",
    "arrays": "Arrays",
    "errors": "Errors",
}
#: packages whose modules are of one kind, those that print kernels, and none of a user's business
INNER = ("ntkverify.execution.fused", "ntkverify.execution.kernels", "ntkverify.execution.machine")


def source(module: str) -> str:
    """The text of a module, or of a package's own file."""
    path = ROOT / module.replace(".", "/")
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def modules(place: str) -> list[str]:
    """Dotted names of the public modules of a place, a package's own file first."""
    where = ROOT / "ntkverify" / place.replace(".", "/")
    paths = sorted(where.rglob("*.py")) if where.is_dir() else [where.with_suffix(".py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return sorted(name for name in names if "._" not in name and not name.startswith(INNER))


def defined(module: str) -> list[str]:
    """Public classes and functions that a module defines."""
    kinds = ast.ClassDef | ast.FunctionDef
    return [n.name for n in ast.parse(source(module)).body if isinstance(n, kinds) and not n.name.startswith("_")]


def handed_on(package: str) -> dict[str, str]:
    """Names that a package hands on, and the modules that define them."""
    names = importlib.import_module(package).__dict__.get("__all__", ())
    homes = {}
    for statement in ast.walk(ast.parse(source(package))):
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("ntkverify."):
            homes.update({alias.name: str(statement.module) for alias in statement.names})
    return {name: homes[name] for name in names if name in homes}


def says(module: str, name: str) -> str:
    """The first paragraph on a name: of its docstring, or the comment at a constant."""
    found = getattr(importlib.import_module(module), name)
    if inspect.isclass(found) or inspect.isroutine(found):
        return " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    match = re.search(rf"(?:^# *:?(.*)\n)?^{name} = .*?(?:  #: (.*))?$", source(module), re.MULTILINE)
    return ((match[2] or match[1] or "") if match else "").strip()


def table(package: str) -> list[str]:
    """What a package hands on, a name a row."""
    lines = ["| name | what it is |", "|---|---|"]
    for name, module in handed_on(package).items():
        lines.append(f"| {{py:obj}}`{name} <{module}.{name}>` | {_marked(says(module, name))} |")
    return [*lines, ""]


def _marked(text: str) -> str:
    """A sentence of a docstring in Markdown: code stays code, and nothing else is markup."""
    parts = re.split(r"``(.*?)``|`(.*?)`", text)
    code = [(one or other or "").replace("|", "\\|") for one, other in zip(parts[1::3], parts[2::3], strict=True)]
    return "".join(cell(plain) + (f"`{code[i]}`" if i < len(code) else "") for i, plain in enumerate(parts[::3]))


def page(place: str, title: str) -> list[str]:
    """The page of a package: what it hands on, then each module that defines a public name."""
    lines = [f"# {title}", ""]
    for module in modules(place):
        if names := handed_on(module):
            lines += [f"From `{module}` come" if len(names) > 1 else f"From `{module}` comes", "", *table(module)]
        if defined(module) or place == "glossary":
            directive = [f".. automodule:: {module}", "   :ignore-module-all:"]
            lines += [f"## `{module}`", "", "```{eval-rst}", *directive, "```", ""]
    return lines


def write(folder: Path) -> None:
    """Write the pages into a folder of their own."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        path.unlink()
    lines = ["# Reference", "", "What `import ntkverify` gives:", "", *table("ntkverify")]
    lines += ["Every other public name, by package:", "", "```{toctree}", *PLACES, "```", ""]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")
    for place, title in PLACES.items():
        (folder / f"{place}.md").write_text("\n".join(page(place, title)), encoding="utf-8")


def as_text(what: str, lines: list[str]) -> None:
    """Make the plain text of a docstring fit for reStructuredText, in place.

    Bars are absolute values and stars are products here, and paragraphs of a module that are aligned by hand stay so.
    """
    inside_code, names = re.compile(r"(``.*?``|`[^`]*`)"), re.compile(r"\s*\*{0,2}\w+(, \w+)* : ")
    for number, line in enumerate(lines):
        parts = inside_code.split(line)
        parts[::2] = [re.sub(r"(?<!\\)([|*])", r"\\\1", part) for part in parts[::2]]
        if what == "module" or not names.match(line):
            lines[number] = "".join(parts)
    if what == "module":
        paragraphs = "\n".join(lines).split("\n\n")
        for number, paragraph in enumerate(paragraphs):
            rows = paragraph.splitlines()
            if any(row.startswith("  ") for row in rows) or any("  " in row.strip() for row in rows):
                plain = [re.sub(r"\\([|*])", r"\1", row) for row in rows]
                paragraphs[number] = "::\n\n" + "\n".join(f"    {row}" for row in plain)
        lines[:] = [*"\n\n".join(paragraphs).split("\n"), ""]
