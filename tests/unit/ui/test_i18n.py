import re

from ui.i18n import HERE, L, page_i18n, preferred_language, script_texts, texts


def test_preferred_language() -> None:
    assert preferred_language("en;q=0.1, zh;q=0.9") == "zh"
    assert preferred_language("zh;q=0, en") == "en"
    assert preferred_language("zh;q=x, en;q=0.5") == "en"
    assert preferred_language("fr") is None


def test_the_page_carries_what_gradio_shows() -> None:
    """What it was built with; not the backend's sentences, nor what only a script shows."""
    assert L("paste.title") is not None
    kept = page_i18n().translations_dict["zh-CN"]
    assert "paste.title" in kept
    assert {"engines.extra.unknown", "share.network"} & set(kept) == set()


def test_scripts_bring_their_texts() -> None:
    scripts = {path: path.read_text(encoding="utf-8") for path in HERE.glob("**/*.js")}
    for path, source in scripts.items():
        called = set(re.findall(r"\bt\(\s*[\"'`]([\w.-]+)[\"'`]", source))
        assert called <= set(script_texts(source, "zh")), path
    everything = script_texts("\n".join(scripts.values()), "en")
    assert {f"common.state.{state}" for state in ("running", "failed", "queued")} <= set(everything)
    assert {key for key in texts() if key.startswith(("deploy.stage.", "quantize.stage."))} <= set(everything)
    assert script_texts('t("header.class") + t("chat.error.no_server")', "en").keys() == {
        "header.class", "chat.error.no_server", "chat.error.no_server.class",
    }  # fmt: skip


def test_only_what_builds_the_page_asks_for_its_texts() -> None:
    """A handler's L would name a text that the page doesn't have."""
    for path in HERE.glob("**/handlers.py"):
        assert not re.search(r"\bL\(", path.read_text(encoding="utf-8")), path
