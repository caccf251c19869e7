import re

from ui.i18n import HERE, L, page_i18n, page_keys, preferred_language, texts


def test_preferred_language() -> None:
    assert preferred_language("en;q=0.1, zh;q=0.9") == "zh"
    assert preferred_language("zh;q=0, en") == "en"
    assert preferred_language("zh;q=x, en;q=0.5") == "en"
    assert preferred_language("fr") is None


def test_the_page_carries_what_it_can_show() -> None:
    """What the scripts name, and the tabs' own texts; not the backend's sentences."""
    scripts = [path.read_text(encoding="utf-8") for path in HERE.glob("**/*.js")]
    kept = page_keys(scripts)
    assert L("paste.title") is not None
    assert "paste.title" in page_keys(())
    called = {key for script in scripts for key in re.findall(r"\bt\(\s*[\"'`]([\w.-]+)[\"'`]", script)}
    assert called
    assert called <= kept
    assert {f"common.state.{state}" for state in ("running", "failed", "queued")} <= kept
    assert {"engines.extra.unknown", "paste.owned"} & kept == set()
    assert {key for key in texts() if key.startswith(("deploy.stage.", "quantize.stage."))} <= kept
    assert set(page_i18n(scripts).translations_dict["zh-CN"]) >= called


def test_only_what_builds_the_page_asks_for_its_texts() -> None:
    """A handler's L would name a text that the page doesn't have."""
    for path in HERE.glob("**/handlers.py"):
        assert not re.search(r"\bL\(", path.read_text(encoding="utf-8")), path
