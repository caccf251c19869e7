"""Whether one may choose that a model thinks first: its chat template says so."""

import json
import os
from pathlib import Path

import pytest

from backend.chat.conversation import Answer, Conversation, Exchange, Question, Sampling
from backend.chat.prompt import chat_request
from backend.chat.thinking import switch_of, thinking_switch

QWEN3 = "{%- if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>{%- endif %}"


@pytest.mark.parametrize(
    ("template", "switch"),
    [
        (QWEN3, "enable_thinking"),
        (
            "{% if not thinking is defined %}{% set thinking = false %}{% endif %}{{ '<think>' if thinking }}",
            "thinking",
        ),
        ("{{- '<think>' if enable_thinking | default(true) else '' -}}", "enable_thinking"),
        ("{{ '<think>' }}{{ message.content }}", ""),
        ("{# enable_thinking #}plain enable_thinking words", ""),
        ("{{ 'set enable_thinking to true' }}", ""),
        ("{{ message.thinking }}{{ message['thinking'] }}", ""),
        ("{% if thinking_budget %}x{% endif %}", ""),
        ("", ""),
    ],
)
def test_the_template_says_so(template: str, switch: str) -> None:
    assert thinking_switch(template) == switch


def test_a_template_in_a_json_file_is_read_too(tmp_path: Path) -> None:
    assert switch_of(tmp_path) == ""
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": QWEN3}))
    os.utime(config, ns=(1, 1))
    assert switch_of(tmp_path) == "enable_thinking"
    config.write_text(json.dumps({"chat_template": "{{ messages }}"}))
    os.utime(config, ns=(2, 2))
    assert switch_of(tmp_path) == ""


@pytest.mark.parametrize(
    ("thinking", "switch", "sent"),
    [
        (False, "enable_thinking", {"enable_thinking": False}),
        (True, "thinking", {"thinking": True}),
        (None, "enable_thinking", None),
        (True, "", None),
    ],
)
def test_the_switch_is_sent_where_there_is_one(thinking: bool | None, switch: str, sent: object) -> None:
    talk = Conversation((Exchange(Question("Q"), (Answer("s", "S", "m"),)),), Sampling(thinking=thinking))
    request = chat_request(talk, 0, "m", False, lambda picture: "", thinking_switch=switch)
    assert request.get("chat_template_kwargs") == sent
