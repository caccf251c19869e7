"""Tokens for gated models: one is replaced as a whole, or stays."""

from pathlib import Path

import pytest

from backend.downloads.sources import Source
from backend.downloads.tokens import Tokens
from backend.errors import InvalidInput

SOURCE = Source("huggingface", "https://huggingface.co")


def test_a_token_is_kept_replaced_and_forgotten(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    file = tokens.file(SOURCE)
    for token in ("hf_first", "hf_second"):
        tokens.keep(SOURCE, f" {token}\n")
        assert (file.read_text(), file.stat().st_mode & 0o777, tokens.has(SOURCE)) == (token, 0o600, True)
    with pytest.raises(InvalidInput):
        tokens.keep(SOURCE, "two words")
    assert file.read_text() == "hf_second"
    tokens.keep(SOURCE, "")
    tokens.keep(SOURCE, "")
    assert not tokens.has(SOURCE)
