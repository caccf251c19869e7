"""Every text stands in both languages, is used, and every key that is used stands there."""

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from ui.i18n import LANGUAGES, LOCALES, L, parse_language, say, t, texts

ROOT = Path(__file__).parents[3]
NAME = r"[a-z][\w-]*(?:\.[\w-]+)+"  # a key: "deploy.model.label"
KEY = re.compile(rf"^{NAME}$")
WRITTEN = re.compile(rf"[\"'`]({NAME})[\"'`]")
PREFIX = re.compile(r"[\"'`]([a-z][\w-]*(?:\.[\w-]+)*\.)[\"'`]?(?:\$?\{|\s*\+)")  # f"deploy.stage.{name}"
CALLS = (
    re.compile(rf"\b(?:L|t|lm\.t|lmConsole\.t)\(\s*[\"'`]({NAME})[\"'`]"),
    re.compile(rf"\b(?:Message|Sentence)\(\s*[\"']({NAME})[\"']"),
)
HAN = re.compile(r"[一-鿿]")


def sources() -> Iterator[tuple[Path, str]]:
    """The code that may name a text."""
    for pattern in ("app.py", "ui/**/*.py", "backend/**/*.py", "assets/js/*.js"):
        for path in ROOT.glob(pattern):
            yield path, path.read_text(encoding="utf-8")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", sorted(LOCALES.glob("*.json")), ids=lambda path: path.stem)
def test_both_languages_say_the_same(path: Path) -> None:
    import json

    problems = []
    for key, text in json.loads(path.read_text(encoding="utf-8")).items():
        if not KEY.match(key):
            problems.append(f"{key}: isn't a key such as area.control.label")
        if set(text) != set(LANGUAGES) or not all(isinstance(text[name], str) and text[name].strip() for name in text):
            problems.append(f"{key}: needs a text in each of {LANGUAGES}")
            continue
        if placeholders(text["en"]) != placeholders(text["zh"]):
            problems.append(f"{key}: other placeholders in zh than in en")
        if HAN.search(text["en"]):
            problems.append(f"{key}: Chinese in the English text")
    assert not problems, "\n".join(problems)


def test_every_key_that_is_used_stands_in_the_texts() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {key}"
        for path, source in sources()
        for call in CALLS
        for key in call.findall(source)
        if key not in texts()
    ]
    assert not missing, "\n".join(missing)


def test_every_text_is_used() -> None:
    """By name anywhere in the code, or by the beginning of one that is put together (f"common.state.{state}")."""
    named: set[str] = set()
    prefixes: set[str] = set()
    for _, source in sources():
        named.update(WRITTEN.findall(source))
        prefixes.update(PREFIX.findall(source))
    implied = {f"{name}.label" for name in named} | {f"{name}.title" for name in named}
    # A control's own label, by its elem_id (ui/i18n.py: say), and a tab's title, by its name (ui/blocks.py).
    known = named | implied | {key for key in texts() if key.endswith(".title") or key.startswith(tuple(prefixes))}
    used = known & set(texts())
    unused = sorted(set(texts()) - used)
    assert not unused, "\n".join(unused)


def test_texts_in_both_languages() -> None:
    assert t("header.servers.running", "en", {"running": 2}) == "2 servers running"
    assert "2" in t("header.servers.running", "zh", {"running": 2})
    with pytest.raises(KeyError):
        L("no.such.key")


def test_a_message_names_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.errors import Message
    from ui import i18n

    known = {
        "a.wrong": {"en": "{field}: {value} is wrong.", "zh": "{field}：{value} 有误。"},
        "deploy.tp.label": {"en": "Tensor parallel", "zh": "张量并行"},
    }
    monkeypatch.setattr(i18n, "texts", lambda: known)
    message = Message("a.wrong", {"value": 9}, field="deploy-tp")
    assert say(message, "en") == "Tensor parallel: 9 is wrong."
    assert say(message, "zh") == "张量并行：9 有误。"


@pytest.mark.parametrize(
    ("value", "language"),
    [("zh-CN", "zh"), ("zh_CN.UTF-8", "zh"), ("en", "en"), ("EN-us", "en"), ("de", None), ("", None), (None, None)],
)
def test_parse_language(value: str | None, language: str | None) -> None:
    assert parse_language(value) == language
