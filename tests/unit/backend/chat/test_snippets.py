"""What the code does when it runs stands in tests/integration/test_page_code.py."""

import ast
import shlex
from pathlib import Path
from typing import Any

import pytest

from backend.chat.conversation import Conversation, Exchange, Picture, Question, Sampling
from backend.chat.prompt import chat_request
from backend.chat.snippets import Target, client_settings, curl_code, picture_reference, python_code

NASTY = "It's \"quoted\" $(rm -rf /) `id` \\n 中文\nJSON\n'''"
PICTURE = Picture("0123abcd.png", "cat.png", 20, 10)
HERE = "http://127.0.0.1:1/v1"


def body(*pictures: Picture, tools: tuple[str, ...] = ()) -> dict[str, Any]:
    asked = Conversation((Exchange(Question(NASTY, pictures)),), Sampling(system="Be brief.", tools=tools))
    return chat_request(asked, 0, "mo'del", True, lambda picture: picture_reference(picture.id))


@pytest.mark.parametrize("tools", [(), ("add", "mul")])
@pytest.mark.parametrize("pictures", [(), (PICTURE,)])
@pytest.mark.parametrize("key_file", [None, Path("/keys/it's.key")])
def test_all_python_is_python(tools: tuple[str, ...], pictures: tuple[Picture, ...], key_file: Path | None) -> None:
    for stream in (True, False):
        ast.parse(python_code(body(*pictures, tools=tools), Target(HERE, key_file), stream=stream))


def test_python_reads_the_key_from_its_file_and_pictures_from_the_console() -> None:
    code = python_code(body(PICTURE), Target(HERE, Path("/keys/it's.key")))
    assert 'Path("/keys/it\'s.key").read_text().strip()' in code
    assert "picture('0123abcd.png', 'image/png')" in code
    assert "client.files.content(name)" in code


def test_curl_reads_them_too_and_quotes_what_a_shell_would_run() -> None:
    code = curl_code(body(PICTURE), Target(HERE, Path("/keys/a key")))
    assert code.count("$(cat '/keys/a key')") == 2  # for the picture as well
    assert f"{HERE}/files/0123abcd.png/content | base64" in code
    assert "\\$(rm -rf /)" in code


def test_without_pictures_the_shell_looks_at_nothing() -> None:
    code = curl_code(body(), Target(HERE))
    assert "<<'JSON'" in code
    assert "Authorization" not in code


def test_a_whole_answer_is_asked_for_without_a_stream() -> None:
    for code in (python_code(body(), Target(HERE), stream=False), curl_code(body(), Target(HERE), stream=False)):
        assert "stream" not in code


def test_a_key_without_a_file_stands_in_the_code() -> None:
    target = Target(HERE, None, "lm-page-1")
    assert "api_key='lm-page-1'" in python_code(body(), target)
    assert "Bearer lm-page-1" in curl_code(body(), target)


def test_other_programs_get_address_key_and_model() -> None:
    lines = client_settings("it's", Target(HERE, None, "lm-page-1"))
    assert set(lines) == {"openai", "langchain", "open-webui"}
    for text in lines.values():
        assert HERE in text
        assert "lm-page-1" in text
    assert '"it\'s"' in lines["langchain"]
    ast.parse(lines["langchain"])
    assert "OPENAI_API_KEY=lm-page-1" in shlex.split(lines["open-webui"])
