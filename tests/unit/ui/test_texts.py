"""Every text stands in both languages, is used, and every key that is used stands there."""

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from ui.i18n import LANGUAGES, L, parse_language, say, t, text_files, texts

ROOT = Path(__file__).parents[3]
NAME = r"[a-z][\w-]*(?:\.[\w-]+)+"  # a key: "deploy.model.label"
KEY = re.compile(rf"^{NAME}$")
WRITTEN = re.compile(rf"[\"'`]({NAME})[\"'`]")
PREFIX = re.compile(r"[\"'`]([a-z][\w-]*(?:\.[\w-]+)*\.)[\"'`]?(?:\$?\{|\s*\+)")  # f"deploy.stage.{name}"
CONTROL = re.compile(r"[\"']([a-z]+)-([\w-]+)[\"']")  # an elem_id: "deploy-model"
CALLS = (
    re.compile(rf"\b(?:L|t)\(\s*[\"'`]({NAME})[\"'`]"),
    re.compile(rf"\b(?:Message|Sentence)\(\s*[\"']({NAME})[\"']"),
)
HAN = re.compile(r"[一-鿿]")


def sources() -> Iterator[tuple[Path, str]]:
    """The code that may name a text."""
    for pattern in ("app.py", "ui/**/*.py", "backend/**/*.py", "ui/**/*.js"):
        for path in ROOT.glob(pattern):
            yield path, path.read_text(encoding="utf-8")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", text_files(), ids=lambda path: path.stem if path.stem != "texts" else path.parent.name)
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


def test_a_text_with_values_doubles_the_braces_of_its_own() -> None:
    """JSON shown in it would be taken for a value's name, and the text couldn't be said at all."""
    for key, text in texts().items():
        for language in LANGUAGES:
            names = placeholders(text[language])
            own = {name for name in names if not name.isidentifier()}
            assert not own or own == names, (key, own)  # without a value, a text is said as it stands


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
    controls: set[tuple[str, str]] = set()
    for _, source in sources():
        named.update(WRITTEN.findall(source))
        prefixes.update(PREFIX.findall(source))
        controls.update(CONTROL.findall(source))
    implied = {f"{name}.label" for name in named} | {f"{name}.title" for name in named}
    # A control's texts stand under its elem_id (ui/page/form_controls.py: text_key).
    implied |= {f"{area}.{name}.{text}" for area, name in controls for text in ("label", "info")}
    # A control's own label, by its elem_id (ui/i18n.py: say), and a tab's title, by its name (ui/blocks.py).
    known = named | implied | {key for key in texts() if key.endswith(".title") or key.startswith(tuple(prefixes))}
    known |= {f"{key}.class" for key in known}  # what a class is told instead (ui/i18n.py: say)
    used = known & set(texts())
    unused = sorted(set(texts()) - used)
    assert not unused, "\n".join(unused)


# What a class may be told: its two tabs, and what stands on every page.
CLASS_READS = re.compile(r"^(chat|vram|uploads|servers\.store\.(busy|full|unusable)$|servers\.not-)|^common\.(?!guard)")
FOR_OPERATORS = re.compile(r"^chat\.starter\.(none_operator|deploy)$|^servers\.not-ready|\.class$")
CANT_DO = re.compile(
    r"\b(Deploy|Quantize) tab|On Deploy|“(部署|量化)”|state folder|状态目录|console\.log|terminal|终端|--[a-z]|"
    r"log says|日志：|"
    r"\{(detail|address|location|path|file)\}"
)


def test_a_class_is_told_what_it_can_do() -> None:
    found = [
        f"{key}: {text}"
        for key in texts()
        if CLASS_READS.search(key) and not FOR_OPERATORS.search(key)
        for text in texts()[f"{key}.class" if f"{key}.class" in texts() else key].values()
        if CANT_DO.search(text)
    ]
    assert not found, "\n".join(found)


def test_a_class_has_its_own_words() -> None:
    from backend.errors import Message

    message = Message("chat.error.no_server")
    assert "teacher" in say(message, "en", audience="class")
    assert "Deploy" in say(message, "en")
    assert say(Message("chat.error.empty"), "zh", audience="class") == t("chat.error.empty", "zh")


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
