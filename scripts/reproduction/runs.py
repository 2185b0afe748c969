"""Finished runs on disk, so that a study that is interrupted goes on from there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Key = tuple[str, str, str, int]  #: part, problem, method and seed


class Runs:
    """Finished runs on disk, by what they were asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
                self._found[record["key"]] = record
            except (json.JSONDecodeError, KeyError, TypeError):
                print(f"{path}: a damaged line is ignored", file=sys.stderr)

    def get(self, key: Key, settings: dict[str, Any], run: Any) -> dict[str, Any]:
        """The record of a run, made now if it is not there yet."""
        identifier = json.dumps([*key, settings], sort_keys=True)
        if identifier not in self._found:
            part, problem, method, _ = key
            record = {"key": identifier, "part": part, "problem": problem, "method": method} | run()
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * (not self._ends_clean()) + json.dumps(record) + "\n")
            self._found[identifier] = record
        return self._found[identifier]

    def _ends_clean(self) -> bool:
        """Whether the file ends with a whole line."""
        return not self.path.exists() or self.path.stat().st_size == 0 or self.path.read_bytes()[-1:] == b"\n"
