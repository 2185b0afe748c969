"""Proofs as files that somebody else can check."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ntkverify.errors import NtkVerifyError
from ntkverify.proving.prove import Proof


def write_proof(proof: Proof, folder: Path, name: str) -> Path:
    """Write a proof under the name of its claim: SMT-LIB text, or steps or boxes behind a heading.

    Raises
    ------
    NtkVerifyError
        If the file can't be written.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60]
    path = folder / f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:6]}{proof.suffix}"
    mark = ";" if proof.suffix == ".smt2" else "#"
    heading = [f"{mark} {name}", f"{mark} {proof.status}: {proof.how}"]
    if proof.refutation is not None:
        heading.append(f"{mark} {proof.refutation.text}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*heading, proof.text, ""]), encoding="utf-8")
    except OSError as error:
        raise NtkVerifyError(f"--proofs {folder} can't be written ({error.strerror}); choose another folder.") from None
    return path
