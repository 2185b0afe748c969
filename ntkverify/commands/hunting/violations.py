"""What `replay` and `certify` share: a violation's file, its theorem, how it is introduced."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.report.campaign import describe
from ntkverify.search.evidence.violation import Violation, digest
from ntkverify.theorem.files import ends_in, find_modules
from ntkverify.theorem.loading import load_theorem
from ntkverify.theorem.theorem import Theorem


def theorem_of(violation: Violation, where: str | None) -> Theorem:
    """The theorem that a violation is of; of a folder, the module of that name."""
    path = violation.path
    if where is not None:
        found = find_modules([where])
        alike = [module for module in found if ends_in(module, violation.theorem)] or found
        if len(alike) > 1:
            raise NtkVerifyError(f"{where} holds no theorem {violation.theorem!r}; give --theorem its module.")
        path = str(alike[0])
    elif not Path(path).is_file():
        raise NtkVerifyError(f"there is no theorem file {path}; say with --theorem where the module is now.")
    theorem = load_theorem(path)
    violation.case(theorem)
    if violation.sha256 != digest(path):
        print(f"note: {path} has changed since the violation was found.", file=sys.stderr)
    return theorem


def introduce(violation: Violation) -> None:
    """Say what is violated by what."""
    print(f"{violation.theorem}: {violation.claim}")
    for label, names in (("without", violation.relax), ("made wrong", violation.plants)):
        if names:
            print(f"{label}: {', '.join(names)}")
    print(f"instance: {describe(json.loads(violation.instance.to_json()))}")
