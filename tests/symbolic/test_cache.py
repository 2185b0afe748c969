"""The disk cache: keyed by source, robust to damage and to concurrent writers."""

import os
import threading

from ntkverify.cache import cache_directory
from ntkverify.symbolic.expression.cache import cached


class TestCached:
    def test_a_second_call_does_not_derive_again(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path))
        calls = []
        for source in ("a", "a", "b"):
            assert cached("kind", source, lambda source=source: calls.append(source) or source) == source
        assert calls == ["a", "b"]
        assert cached("other kind".replace(" ", "-"), "a", lambda: "x") == "x"

    def test_damaged_files_are_derived_again(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path))
        cached("kind", "s", lambda: 1)
        (path,) = tmp_path.iterdir()
        good = path.read_bytes()
        for damage in (b"", b"nonsense", good[:-3], good.replace(b"\n", b"\nx", 1)):
            path.write_bytes(damage)
            assert cached("kind", "s", lambda: 2) == 2
            assert cached("kind", "s", lambda: 3) == 2

    def test_concurrent_writers_leave_one_complete_file(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(tmp_path))
        payload = list(range(10_000))
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(cached("kind", "s", lambda: payload))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [payload] * 8
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_directory_that_cannot_be_made_costs_only_time(self, tmp_path, monkeypatch):
        blocked = tmp_path / "file"
        blocked.write_text("")
        monkeypatch.setenv("NTKVERIFY_CACHE_DIR", str(blocked / "below"))
        assert cached("kind", "s", lambda: 5) == 5

    def test_no_home_directory_costs_only_time(self, monkeypatch):
        for name in ("NTKVERIFY_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # a user without a home
        assert cached("kind", "s", lambda: 5) == 5
        assert cache_directory().is_absolute()

    def test_default_directory(self, tmp_path, monkeypatch):
        monkeypatch.delenv("NTKVERIFY_CACHE_DIR")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache_directory() == tmp_path / "ntkverify"
        assert os.fspath(cache_directory()).startswith(os.fspath(tmp_path))
