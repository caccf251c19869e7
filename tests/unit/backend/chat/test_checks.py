"""How many questions a server answers at the same time, as far as its settings tell."""

from dataclasses import replace

import pytest

from backend.chat.checks import at_once
from backend.engines.base import ServeConfig
from tests.support.many_views import server


@pytest.mark.parametrize(
    ("engine", "extra", "most"),
    [
        ("transformers", (), 1),
        ("transformers", ("--continuous-batching",), None),
        ("turbomind", (), None),
        ("turbomind", ("--max-batch-size", "8"), 8),
        ("pytorch", ("--max-batch-size=16",), 16),
        ("pytorch", ("--max-batch-size=16", "--dp", "2"), None),
        ("external", ("--max-batch-size", "8"), None),
        ("proxy", (), None),
    ],
)
def test_by_engine(engine: str, extra: tuple[str, ...], most: int | None) -> None:
    assert at_once(replace(server(1), config=ServeConfig(engine, "/m", extra=extra))) == most
