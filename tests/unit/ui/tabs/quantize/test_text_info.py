"""What the form shows of an own text before a job starts."""

import json
from pathlib import Path

import pytest

from backend.quantization.base import QuantConfig
from backend.quantization.text_files import read
from backend.quantization.texts import KeptText, KeptTexts
from ui.i18n import Language
from ui.tabs.quantize.text_info import TYPED, text_html, tokens_html


def kept_in(folder: Path, content: bytes, name: str) -> KeptText:
    return KeptTexts(folder).keep_reading(read(content, name), name)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_read_and_how_it_begins(tmp_path: Path, language: Language) -> None:
    records = [{"text": f"<b>第 {number} 条</b> 校准文本，为模型准备的"} for number in (1, 2, 3, 4, 1)]
    content = "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode("gbk")
    html = text_html(kept_in(tmp_path, content, "mine.jsonl"), language)
    assert "mine.jsonl" in html
    assert "JSONL" in html
    assert "GB18030" in html  # how it was read
    assert html.count("<li>") == 3
    assert "&lt;b&gt;第 1 条&lt;/b&gt;" in html
    assert "{" not in html


def test_a_long_piece_is_cut_and_a_typed_text_has_no_name(tmp_path: Path) -> None:
    html = text_html(kept_in(tmp_path, b"word " * 10_000, TYPED), "en")
    assert TYPED not in html
    assert len(html) < 1_000


def test_tokens_and_the_samples_that_they_make(tmp_path: Path) -> None:
    kept = kept_in(tmp_path, b"some words\n", "a.txt")
    config = QuantConfig(model="/m", output="/o", samples=128, seqlen=2048)
    few = tokens_html(10_000, kept, config, "en")
    assert "10,000 tokens" in few
    assert ": 4 samples of 2,048" in few
    assert "overlap" in few
    many = tokens_html(1_000_000, kept, config, "en")
    assert ": 488 samples" in many
    assert "overlap" not in many
    long = kept_in(tmp_path, b"some words\n" * 200_000, "b.txt")
    assert "More than 500,000 tokens" in tokens_html(500_000, long, config, "en")
