"""The QR code's drawing."""

import pytest

from ui.web.share import path_of


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ([[1]], "M0 0h1v1h-1z"),
        ([[0, 0], [0, 0]], ""),
        ([[1, 1, 0, 1], [0, 1, 0, 0]], "M0 0h2v1h-2zM3 0h1v1h-1zM1 1h1v1h-1z"),
    ],
)
def test_each_run_is_one_rectangle(rows: list[list[int]], path: str) -> None:
    assert path_of(rows) == path
