"""Every message of the engines and models has its texts, and their placeholders are what the code gives."""

import re
from pathlib import Path

from backend.errors import Message
from backend.machine.flags import LMDEPLOY_OWNED, TRANSFORMERS_OWNED
from backend.servers.log_reader import REASONS
from ui.i18n import LANGUAGES, say, texts

BACKEND = Path(__file__).parents[4] / "backend"
AREAS = ("engines.", "models.", "environments.")
KEY = re.compile(r'"((?:engines|models|environments)\.[a-z0-9.-]+[a-z0-9])"')


def used_keys() -> set[str]:
    """Keys that stand in the code, and those made of parts."""
    folders = ("engines", "machine", "models", "servers")
    files = [file for folder in folders for file in BACKEND.glob(f"{folder}/**/*.py")]
    keys = {key for file in files for key in KEY.findall(file.read_text(encoding="utf-8"))}
    keys |= {key for key, _ in REASONS} | {f"engines.extra.{kind}" for kind in ("int", "float", "json")}
    return keys


def test_every_key_has_texts_and_every_text_is_used() -> None:
    assert used_keys() == {key for key in texts() if key.startswith(AREAS)}


def test_both_languages_have_the_same_placeholders() -> None:
    for key, text in texts().items():
        if key.startswith(AREAS):
            english, chinese = (set(re.findall(r"{(\w+)}", text[language])) for language in LANGUAGES)
            assert english == chinese, key


def test_a_message_names_the_control_it_is_about() -> None:
    for owner in {*LMDEPLOY_OWNED.values(), *TRANSFORMERS_OWNED.values()} - {""}:
        for language in LANGUAGES:
            assert "{" not in say(Message("engines.extra.owned", {"flag": "--tp"}, owner), language)
    for field in ("dtype", "model_format", "quant_policy"):
        assert "x, y" in say(Message("engines.choice", {"value": "z", "choices": "x, y"}, field), "en")
