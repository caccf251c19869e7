"""The console's own help, searched for a model."""

import pytest

from ui.tabs.chat.help_search import help_text, sections, terms


@pytest.mark.parametrize(
    ("query", "has"),
    [
        ("How do I quantize a model to 4 bits?", "uantiz"),
        ("ssh port forward", "ssh"),
        ("怎么量化模型", "量化"),
        ("KV cache", "KV"),
    ],
)
def test_what_the_help_says_is_found(query: str, has: str) -> None:
    found = help_text({"query": query})
    assert found.startswith("## ")
    assert has in found
    assert len(found) < 8_000


def test_what_it_says_nothing_of_is_said() -> None:
    assert "subjects are" in help_text({"query": "zzzz qqqq"})
    assert help_text({})
    assert len(sections("en")) > 5
    assert terms("显存占用 of GPU") == {"显存", "存占", "占用", "gpu"}
