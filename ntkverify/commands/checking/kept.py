"""The verdicts that checks have reached last, kept for what is to be looked at next and for how long a check takes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ntkverify.cache import cache_directory


def _file_of(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:20]
    return cache_directory() / "verdicts" / f"{name}.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def keep(path: Path, records: Sequence[dict[str, Any]], *, settings: dict[str, Any]) -> None:
    """Keep the verdicts on one module; where nothing can be kept nothing is, and nobody is troubled."""
    with contextlib.suppress(OSError):
        before = kept(path)
        alike = before is not None and not before["changed"] and before["settings"] == settings
        by_claim = {r["claim"]: r for r in before["records"]} if before is not None and alike else {}
        by_claim.update({r["claim"]: r for r in records})
        content = {
            "path": str(path.resolve()),
            "sha256": _digest(path),
            "settings": settings,
            "when": time.strftime("%Y-%m-%d %H:%M"),
            "records": list(by_claim.values()),
        }
        file = _file_of(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")


def kept(path: Path) -> dict[str, Any] | None:
    """What was kept of a module; its key ``changed`` says whether the module is another by now."""
    try:
        content = json.loads(_file_of(path).read_text(encoding="utf-8"))
        content["changed"] = content["sha256"] != _digest(path)
        _ = [(r["claim"], r["kind"], r["verdict"], r["seconds"]) for r in content["records"]], content["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(content)


def seconds_of(path: Path, *, profile: str, claims: Sequence[str] = (), kind: str | None = None) -> dict[str, float]:
    """Seconds that each claim of a module took under a profile, of those that are asked for; empty if not known."""
    known = kept(path)
    if known is None or known["changed"] or known["settings"].get("profile") != profile:
        return {}
    return {
        r["claim"]: float(r["seconds"])
        for r in known["records"]
        if kind in (None, r["kind"]) and (not claims or any(c.lower() in r["claim"].lower() for c in claims))
    }
