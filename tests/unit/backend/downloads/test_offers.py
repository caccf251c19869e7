"""Asking the hubs: what keeps the question from being written is said."""

from pathlib import Path
from typing import Any

import pytest

from backend.downloads.offers import Offers
from backend.errors import Unavailable


def test_a_question_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    offers: Any = Offers.__new__(Offers)
    offers._folder = tmp_path / "file" / "downloads"  # nothing there can be removed, as on a disk that is read only
    with pytest.raises(Unavailable) as caught:
        offers._ask({})
    assert caught.value.messages[0].key == "servers.process.no-run-folder"
