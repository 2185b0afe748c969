"""``ntkverify doctor``."""

from __future__ import annotations

import re
from typing import Any

import click

from ntkverify.commands import options as shared


@shared.command("doctor", examples="ntkverify doctor\nntkverify doctor --json")
@click.option("--compile", "compiling", is_flag=True, help="Also compile and run a small kernel.")
@shared.table_options
def command(compiling: bool, as_json: bool, full: bool) -> int:
    """What this machine has: packages, backends, processors, memory, the cache.

    Exit status 2 if something is missing that ntkverify can't do without, else 0.
    """
    from ntkverify.report import console

    rows = [*_packages(), *_extras(), *_machine(), _cache(), _plugin(), *([_kernel()] if compiling else [])]
    if as_json:
        console.show_json(rows)
    else:
        console.show([(r["what"], r["found"], r["remedy"]) for r in rows], ("what", "found", "remedy"), full=full)
    return 2 if any(r["bad"] for r in rows) else 0


def _row(what: str, found: str, remedy: str = "", *, bad: bool = False) -> dict[str, Any]:
    return {"what": what, "found": found, "remedy": remedy, "bad": bad}


def _packages() -> list[dict[str, Any]]:
    """What ntkverify requires, with the versions that are there."""
    import platform
    from importlib import metadata

    import ntkverify

    rows = [_row("ntkverify", ntkverify.__version__), _row("Python", platform.python_version())]
    try:
        required = [r for r in metadata.requires("ntkverify") or [] if "extra ==" not in r]
    except metadata.PackageNotFoundError:
        return [*rows, _row("installation", "not installed", "pip install -e '.[test]'", bad=True)]
    for requirement in required:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        try:
            found = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            rows.append(_row(name[0], "missing", f"pip install '{requirement}'", bad=True))
            continue
        least = re.search(r">=([\d.]+)", requirement)
        old = least is not None and _numbers(found) < _numbers(least[1])
        rows.append(_row(name[0], found, f"pip install -U '{requirement}'" if old else "", bad=old))
    return rows


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _extras() -> list[dict[str, Any]]:
    """What some commands need, and a device."""
    import importlib.util

    from ntkverify.commands.needs import CALLED, PACKAGES
    from ntkverify.errors import NtkVerifyError

    rows = []
    for name, (purpose, remedy) in PACKAGES.items():
        there = importlib.util.find_spec(name) is not None
        rows.append(_row(f"{CALLED.get(name, name)} ({purpose})", "yes" if there else "no", "" if there else remedy))
    from ntkverify.execution.fused.gpu import require_cupy

    try:
        require_cupy()
        rows.append(_row("backend 'gpu'", "ready"))
    except NtkVerifyError as error:
        rows.append(_row("backend 'gpu'", "not there", str(error)))
    return rows


def _machine() -> list[dict[str, Any]]:
    from ntkverify.execution.machine.memory import free_memory
    from ntkverify.execution.machine.threads import available_threads

    return [_row("threads", str(available_threads())), _row("free memory", f"{free_memory() / 2**30:.1f} GiB")]


def _cache() -> dict[str, Any]:
    import tempfile

    from ntkverify.cache import cache_directory

    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return _row("cache", str(folder))
    except OSError as error:
        return _row("cache", f"{folder}: {error.strerror}", "set NTKVERIFY_CACHE_DIR to a folder of yours", bad=True)


def _plugin() -> dict[str, Any]:
    """Whether pytest finds theorem modules."""
    from importlib import metadata

    there = any(point.value == "ntkverify.pytest_plugin" for point in metadata.entry_points(group="pytest11"))
    return _row("pytest plugin", "yes" if there else "no", "" if there else "pip install -e .", bad=not there)


def _kernel() -> dict[str, Any]:
    """A small network on fused kernels, against the plain evaluator."""
    import numpy as np

    from ntkverify import Instance, Source, Theorem
    from ntkverify.problems.regression import RegressionRun
    from ntkverify.report.console import Clock

    clock = Clock()
    nothing = Theorem("Nothing", source=Source(), statement="Two samples, three steps.")
    data = {"inputs": np.eye(2), "targets": [1.0, 0.0]}
    instance = Instance(data=data, width=64, step=0.5, steps=3)
    fused, plain = (RegressionRun(instance, nothing, backend=name).residuals for name in ("cpu", "array"))
    agree = bool(np.allclose(fused, plain, rtol=1e-12, atol=1e-12))
    return _row("fused kernels", f"{'agree' if agree else 'differ'}, {clock.seconds:.1f} s", bad=not agree)
