"""Servers' keys: where none can be kept, that is said."""

from pathlib import Path

import pytest

from backend.errors import Unavailable
from backend.servers.keys import read_key, write_key


def test_a_key_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.key"  # nor can it be removed, as on a disk that is read only
    for use in (lambda: write_key(path, "k"), lambda: read_key(path)):
        with pytest.raises(Unavailable) as caught:
            use()
        assert caught.value.messages[0].key == "servers.key-file"


def test_a_key_stays(tmp_path: Path) -> None:
    write_key(tmp_path / "a.key", "first")
    write_key(tmp_path / "a.key", "second")
    assert read_key(tmp_path / "a.key") == "first"
    assert read_key(None) == ""
