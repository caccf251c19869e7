"""What the child that loads a model finds of its own earlier work."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from backend.downloads.children import fetch
from backend.downloads.children.hubs import is_at
from backend.downloads.values import RemoteFile

DATA = b"weights" * 1000
SHA256, SHA1 = hashlib.sha256(DATA).hexdigest(), hashlib.sha1(b"blob %d\0" % len(DATA) + DATA).hexdigest()


@pytest.mark.parametrize("named", [{"sha256": SHA256}, {"sha256": SHA256.upper()}, {"sha1": SHA1}, {}])
def test_a_file_is_the_hubs_by_its_size_and_hash(tmp_path: Path, named: dict[str, str]) -> None:
    file = RemoteFile("a/x.bin", len(DATA), **({"sha256": "", "sha1": ""} | named))
    place = tmp_path / "x.bin"
    assert not is_at(place, file)
    place.write_bytes(DATA)
    assert is_at(place, file)
    place.write_bytes(DATA[:-1] + b"!")
    assert is_at(place, file) is not bool(named)
    place.write_bytes(DATA[:-1])
    assert not is_at(place, file)


def test_a_target_that_is_whole_is_all_that_was_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its child was killed after its last step. No hub is asked."""
    target = tmp_path / "models" / "tiny"
    files = [
        RemoteFile("config.json", 2, hashlib.sha256(b"{}").hexdigest(), ""),
        RemoteFile("a/x.bin", 7000, SHA256, ""),
    ]
    (target / "a").mkdir(parents=True)
    (target / "config.json").write_bytes(b"{}")
    (target / "a" / "x.bin").write_bytes(DATA)
    stage = tmp_path / "models" / ".tiny.loading"
    plan: dict[str, Any] = {
        "source": {}, "files": [asdict(file) for file in files], "stage": str(stage), "target": str(target),
        "layout": "folder", "known": {},
    }  # fmt: skip
    fetch.fetch(plan)
    assert not stage.exists()
    assert str(target) in capsys.readouterr().out  # hashing takes minutes where it is large
