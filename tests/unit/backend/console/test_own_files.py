"""The console's own files that can't be used: which one it is, why, and what to do, in plain words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.console.terminal import log_to
from backend.console.tokens import keep_token
from backend.errors import Unavailable


@pytest.mark.parametrize("use", [keep_token, log_to])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, use: Callable[[Path], object]) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for path in (folder, tmp_path / "gone" / "own"):
        with pytest.raises(Unavailable) as caught:
            use(path)
        [message] = caught.value.messages
        assert (message.key, message.params["path"]) == ("servers.own-file-unusable", str(path))


def test_a_token_stays(tmp_path: Path) -> None:
    token = keep_token(tmp_path / "token")
    assert keep_token(tmp_path / "token") == token
    (tmp_path / "token").write_text("short")
    assert len(keep_token(tmp_path / "token")) == 32
