"""A violation as a file: the instance, which claim of which theorem it breaks, and by what kind of evidence."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ntkverify.errors import NtkVerifyError
from ntkverify.judging.case import Case
from ntkverify.theorem.files import is_called
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.theorem import Theorem

FORMAT = 1  #: version of the JSON layout; a reader refuses newer ones
KIND = "ntkverify violation"
_KINDS = ("float64", "certified", "probability", "population")

_KEYS: dict[str, type] = {
    "theorem": str,
    "path": str,
    "sha256": str,
    "claim": str,
    "relax": list,
    "plants": list,
    "instance": dict,
    "evidence": dict,
    "versions": dict,
}


@dataclass(frozen=True)
class Violation:
    """An instance that breaks a claim.

    Parameters
    ----------
    theorem, path, sha256 : str
        Identifier of the theorem, its module's file and the digest of that file.
    claim : str
        Name of the claim.
    relax : tuple of str
        Assumptions that were dropped.
    plants : tuple of str
        What was deliberately made wrong (`ntkverify.judging.falsehoods`).
    instance : Instance
        The instance.
    evidence : dict
        ``kind`` is "float64", "certified", "probability" or "population"; the rest are the numbers.
    versions : dict
        Versions of everything that took part.
    """

    theorem: str
    path: str
    sha256: str
    claim: str
    relax: tuple[str, ...]
    plants: tuple[str, ...]
    instance: Instance
    evidence: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)

    def with_evidence(self, **evidence: Any) -> Violation:
        """The same violation with other evidence."""
        return replace(self, evidence=evidence)

    @property
    def outside(self) -> Instance | None:
        """A smaller instance that violates the claim too, and is none of its family's; None where there is none."""
        beyond = self.evidence.get("outside the family")
        found = beyond.get("instance") if isinstance(beyond, dict) else None
        return None if found is None else Instance.from_json(json.dumps(found), where="outside the family")

    def content(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {
            "kind": KIND,
            "format": FORMAT,
            **{key: getattr(self, key) for key in _KEYS if key not in ("instance", "relax", "plants")},
            "relax": list(self.relax),
            "plants": list(self.plants),
            "instance": json.loads(self.instance.to_json()),
        }

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(self.content(), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, where: str = "violation") -> Violation:
        """Read a violation back.

        Raises
        ------
        NtkVerifyError
            If the text is no violation, lacks a key, has one of the wrong type or comes from a newer version.
        """
        try:
            content = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise NtkVerifyError(f"{where} is not JSON ({error}); give a file that a search wrote.") from None
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise NtkVerifyError(f"{where} is no violation of ntkverify; give a file that a search wrote.")
        version = content.get("format")
        if type(version) is not int:
            raise NtkVerifyError(f"{where} lacks the integer key 'format'; give a file that a search wrote.")
        if version > FORMAT:
            raise NtkVerifyError(f"{where} has format {version}, this version reads up to {FORMAT}: upgrade ntkverify.")
        for key, kind in _KEYS.items():
            if key not in content:
                raise NtkVerifyError(f"{where} lacks the key {key!r}; give a file that a search wrote.")
            if not isinstance(content[key], kind):
                raise NtkVerifyError(f"{where}: key {key!r} has the wrong type {type(content[key]).__name__}.")
        for key in ("relax", "plants"):
            if not all(isinstance(entry, str) for entry in content[key]):
                raise NtkVerifyError(f"{where}: the entries of {key!r} must be strings.")
        unknown = sorted(set(content) - set(_KEYS) - {"kind", "format"})
        if unknown:
            raise NtkVerifyError(f"{where} has the unknown key {unknown[0]!r}; remove it.")
        if content["evidence"].get("kind") not in _KINDS:
            raise NtkVerifyError(f"{where}: the evidence is of an unknown kind {content['evidence'].get('kind')!r}.")
        instance = Instance.from_json(json.dumps(content["instance"]), where=f"{where}: instance")
        return cls(
            **{key: content[key] for key in _KEYS if key not in ("instance", "relax", "plants")},
            relax=tuple(content["relax"]),
            plants=tuple(content["plants"]),
            instance=instance,
        )

    @classmethod
    def load(cls, path: str | Path) -> Violation:
        """Read a violation from a file; errors name the file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NtkVerifyError(f"violation file {path} can't be read: {error}.") from None
        return cls.from_json(text, where=f"violation file {path}")

    @classmethod
    def suspected(cls, case: Case, instance: Instance, *, path: str | Path, plants: tuple[str, ...] = ()) -> Violation:
        """What a search suspects, without evidence; `path` is the theorem's module."""
        names = {"theorem": case.theorem.id, "claim": case.claim.name, "path": str(path), "sha256": digest(path)}
        return cls(**names, relax=case.relaxed, plants=plants, instance=instance, evidence={}, versions=versions())

    def case(self, theorem: Theorem) -> Case:
        """The case that the violation names.

        Raises
        ------
        NtkVerifyError
            If the theorem is another one, or lacks the claim, the family or a relaxed assumption.
        """
        if not is_called(self.theorem, theorem.id):
            raise NtkVerifyError(
                f"the violation is of theorem {self.theorem!r}, not of {theorem.id!r}; give --theorem its own module."
            )
        if self.claim not in theorem.claims:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no claim {self.claim!r}; was the module changed?")
        if self.instance.family not in theorem.families:
            raise NtkVerifyError(f"theorem {theorem.id!r} has no instances {self.instance.family!r}.")
        for name in self.relax:
            if name not in theorem.assumptions:
                raise NtkVerifyError(f"theorem {theorem.id!r} has no assumption {name!r} to relax.")
        return Case(theorem, theorem.claims[self.claim], theorem.families[self.instance.family], self.relax)


def digest(path: str | Path) -> str:
    """Digest of a theorem module."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of everything that a run depends on."""
    found = {"python": platform.python_version()}
    for name in ("ntkverify", "numpy", "scipy", "sympy", "hypothesis", "cmaes", "python-flint"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
