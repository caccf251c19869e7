"""Conversations on a real GPU: the whole console, driven over HTTP as a page drives it.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s tests/gpu/test_chat.py``. It
takes about two minutes. The figures of the thirty conversations are printed at the end, and written as JSON to
``$OUT/chat.json`` where OUT names a folder.
"""

import html
import io
import json
import math
import os
import re
import shutil
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assets.demo_model.train import explain
from backend.chat.answer_form import problems, read_form
from backend.chat.logprobs import Token, unpacked
from backend.engines.base import ServeConfig
from backend.models.catalog import DEMO_MODEL
from backend.processes import ports
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.model_servers import model_server
from tests.support.waiting import wait_for

READY_S = 180.0
STUDENTS = 30


class Class:
    """A console with the demo model, and those who use it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.operator = Visitor(console)

    def server(self, engine: str, extra: tuple[str, ...] = ()) -> dict[str, Any]:
        """Press Start, and wait until it runs."""
        config = ServeConfig(engine, str(DEMO_MODEL), cache_max_entry_count=0.1, extra=extra)
        return self.operator.ready(self.operator.start(config), READY_S)

    def stop(self, server: dict[str, Any]) -> None:
        self.operator.client.post(f"/console/servers/{server['id']}/stop", json={}).raise_for_status()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    console = Console(tmp_path_factory.mktemp("chat") / "state")
    try:
        yield Class(console.ready())
    finally:
        console.close()


def ask(visitor: Visitor, server: str, text: str, **options: Any) -> dict[str, Any]:
    """Ask, read the stream to its end, and give the newest answer."""
    number = options.pop("number", 0)
    *_, last = visitor.ask(server, text, **options)
    assert last["stats"]["state"] == "done", last
    return visitor.answer(number)


def picture() -> bytes:
    image = Image.new("RGB", (600, 400), "white")
    image.paste("red", (100, 100, 300, 300))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
def test_text_and_pictures(room: Class, engine: str) -> None:
    server = room.server(engine)
    with Visitor(room.console) as visitor:
        plain = ask(visitor, server["id"], "Hello!", temperature=0.0)
        assert plain["text"].startswith("Hello!"), plain
        files = [visitor.upload("square.png", picture())]
        seen = ask(visitor, server["id"], "What do you see?", files=files, temperature=0.0, number=1)
        assert seen["state"] == "done", seen
        assert "red" in seen["text"], seen
        # The picture's tokens are in the prompt
        assert seen["stats"]["prompt_tokens"] > plain["stats"]["prompt_tokens"] + 60
        again = ask(visitor, server["id"], "What colour is the square?", temperature=0.0, number=2)
        assert "red" in again["text"], again
        assert again["stats"]["prompt_tokens"] > seen["stats"]["prompt_tokens"]  # it is still in the conversation
    room.stop(server)


@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
@pytest.mark.parametrize("extra", [(), ("--tool-call-parser", "qwen")], ids=["unparsed", "qwen"])
def test_tools_with_a_parser_and_without(room: Class, engine: str, extra: tuple[str, ...]) -> None:
    server = room.server(engine, extra)
    with Visitor(room.console) as visitor:
        lines = list(visitor.ask(server["id"], "Compute (3+5)*2", tools=("add", "mul"), temperature=0.0))
        assert lines[-1]["stats"]["state"] == "done", lines[-1]
        answer = visitor.answer()
        assert "16" in answer["text"], answer
        assert "<tool_call>" not in answer["text"]
        shown = html.unescape(json.dumps(lines, ensure_ascii=False))
        assert "add(" in shown
        assert "mul(" in shown
    room.stop(server)


FORMS = {
    "schema": '{"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}}, "required": ["name"]}',
    "regex": "[0-9]{3}",
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
def test_an_answer_has_the_form_that_was_asked_for(room: Class, engine: str, kind: str) -> None:
    server = room.server(engine)
    with Visitor(room.console) as visitor:
        visitor.tell("chat_set_options", {"values": {"form_kind": kind, "form_text": FORMS[kind]}}, server["id"])
        answer = ask(visitor, server["id"], "Hello!", temperature=0.0, max_tokens=200)
        form = read_form(kind, FORMS[kind])
        assert form is not None
        if answer["end"] == "chat.end.length":  # a small model may go on with blanks for ever: cut, and said to be
            assert problems(form, answer["text"]) == [("", "json")], answer
        else:
            assert problems(form, answer["text"]) == [], answer
    room.stop(server)


THOUGHT, REPLY = "First I add.", "It is 16."
SWITCH = """{%- if add_generation_prompt and enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}"""


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as one that thinks: a template with Qwen3's switch, and its tool call's tokens renamed."""
    folder = tmp_path_factory.mktemp("models") / "demo-thinks"
    shutil.copytree(DEMO_MODEL, folder, ignore=shutil.ignore_patterns("train"))
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace("tool_call>", "think>"), encoding="utf-8")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8") + SWITCH, encoding="utf-8")
    return folder


@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
@pytest.mark.parametrize("extra", [(), ("--reasoning-parser", "default")], ids=["unparsed", "default"])
def test_a_thought_is_told_from_the_answer_and_switched_off(
    room: Class, thinker: Path, engine: str, extra: tuple[str, ...]
) -> None:
    """The demo model never learned to think: a regular expression makes it."""
    config = ServeConfig(engine, str(thinker), cache_max_entry_count=0.1, extra=extra)
    server = room.operator.ready(room.operator.start(config), READY_S)
    prompts = {}
    for thinking, text in (("", f"<think>{THOUGHT}</think>{REPLY}"), ("off", REPLY)):
        with Visitor(room.console) as visitor:
            form = {"form_kind": "regex", "form_text": re.escape(text), "thinking": thinking}
            visitor.tell("chat_set_options", {"values": form}, server["id"])
            *_, last = visitor.ask(server["id"], "Compute (3+5)*2", temperature=0.0, max_tokens=64)
            assert last["stats"]["state"] == "done", last
            kept = visitor.client.get(f"/console/chat/export?format=json&id={last['id']}").raise_for_status().json()
            [answer] = kept["conversations"][0]["conversation"]["exchanges"][0]["answers"]
        print({"engine": engine, "extra": extra, "switch": thinking, **answer})
        assert answer["text"].strip() == REPLY, answer
        assert answer["thinking"].strip() == (THOUGHT if thinking != "off" else ""), answer
        prompts[thinking] = answer["stats"]["prompt_tokens"]
    # The template was told: an empty thought stands in the prompt.
    assert prompts["off"] > prompts[""], prompts
    room.stop(server)


def servers_of(visitor: Visitor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = visitor.client.get("/console/snapshot").raise_for_status().json()["servers"]
    return found


def has_stopped(visitor: Visitor, server_id: str) -> bool:
    return any(server["id"] == server_id and server["state"] == "stopped" for server in servers_of(visitor))


def tokens_of(visitor: Visitor, exchange: int) -> list[Token]:
    """What the page is told when "Why this word" is opened."""
    told = visitor.client.get(f"/console/chat/tokens/{exchange}/0").raise_for_status().json()
    return [unpacked(token) for token in told["tokens"]]


@pytest.mark.parametrize(
    ("engine", "extra"),
    [("turbomind", ()), ("pytorch", ("--logprobs-mode", "raw_logprobs"))],
    ids=["turbomind", "pytorch"],
)
def test_log_probabilities_come_token_by_token(room: Class, engine: str, extra: tuple[str, ...]) -> None:
    server = room.server(engine, extra)
    with Visitor(room.console) as visitor:
        visitor.tell("chat_set_options", {"values": {"logprobs": True, "top_k": 40, "seed": 1}}, server["id"])
        lines = list(
            visitor.ask(server["id"], "Tell me a story about a fox.", temperature=1.0, top_p=1.0, max_tokens=64)
        )
        assert lines[-1]["stats"]["state"] == "done", lines[-1]
        told = [change for line in lines for change in line.get("tokens", ())]
        assert told, "they come with the text"
        answer, tokens = visitor.answer(), tokens_of(visitor, 1)
        assert sum(len(change["more"]) for change in told) >= len(tokens)
        # Whatever the tokenizer's spelling is: the tokens are the text, but for what marks its end.
        text = b"".join(bytes.fromhex(token.raw) if token.raw else token.text.encode() for token in tokens).decode()
        assert text.strip().startswith(answer["text"].strip()), (text, answer["text"])
        assert len(tokens) - (answer["stats"]["answer_tokens"] or 0) in (-1, 0, 1), (len(tokens), answer["stats"])
        assert all(token.logprob is not None and token.logprob <= 0 for token in tokens), tokens
        assert any(token.alternatives for token in tokens), "temperature 1 leaves something to choose from"
        for token in tokens:
            chances = [math.exp(token.logprob or 0.0), *(math.exp(other.logprob) for other in token.alternatives)]
            assert sum(chances) <= 1.01, token
        # At temperature 0 TurboMind leaves nothing else to choose from; the PyTorch engine's are the model's own.
        ask(visitor, server["id"], "Hello!", temperature=0.0, max_tokens=16, number=1)
        certain = tokens_of(visitor, 2)
        if engine == "turbomind":
            assert all(token.logprob == 0.0 and not token.alternatives for token in certain), certain
        print(
            {
                "engine": engine,
                "tokens": len(tokens),
                "unsure": sum((token.logprob or 0) < math.log(0.5) for token in tokens),
            }
        )
    room.stop(server)


def test_an_engine_that_doesnt_tell_answers_and_says_why(room: Class, tmp_path: Path) -> None:
    server = room.server("pytorch")
    with Visitor(room.console) as visitor:
        visitor.tell("chat_set_options", {"values": {"logprobs": True}}, server["id"])
        *_, last = visitor.ask(server["id"], "Hello!", temperature=0.0)
        assert last["stats"]["state"] == "done", last
        assert tokens_of(visitor, 1) == []
        assert "chat.logprobs.mode" in json.dumps(last)
        assert visitor.answer()["text"].startswith("Hello!")
    room.stop(server)
    # A server that the console knows nothing of refuses, and answers without.
    port = ports.free_port()
    command = ["lmdeploy", "serve", "api_server", str(DEMO_MODEL), "--backend", "pytorch", "--server-port", str(port)]
    with model_server([*command, "--cache-max-entry-count", "0.1"], port, tmp_path / "log", READY_S):
        config = ServeConfig("external", "", address=f"http://127.0.0.1:{port}")
        stranger = room.operator.ready(room.operator.start(config), READY_S)
        with Visitor(room.console) as visitor:
            visitor.tell("chat_set_options", {"values": {"logprobs": True}}, stranger["id"])
            *_, last = visitor.ask(stranger["id"], "Hello!", temperature=0.0)
            assert "chat.logprobs.refused" in json.dumps(last), last
            assert visitor.answer()["text"].startswith("Hello!")
        room.operator.client.post(f"/console/servers/{stranger['id']}/forget", json={}).raise_for_status()


@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
def test_the_server_counts_what_a_question_takes(room: Class, engine: str) -> None:
    server, text = room.server(engine), "The KV cache grows with each token. 显存随之增加。\n" * 20
    with Visitor(room.console) as visitor:
        files = [visitor.upload("notes.txt", text.encode(), "text/plain")]
        form = [server["id"], "", "", 0.0, 1.0, 64, []]
        question = "What is a KV cache?"
        *_, weighed = visitor.call("chat_weigh", [{"text": question, "files": files}, False, *form])
        [meter] = weighed["output"]["data"]
        meter = meter.get("value", meter)
        assert meter["exact"] is True, meter
        answered = ask(visitor, server["id"], question, files=files, temperature=0.0, top_p=1.0, max_tokens=64)
        prompt = answered["stats"]["prompt_tokens"]
        assert abs(meter["total"] - prompt) <= 0.1 * prompt, (meter, prompt)
        print({"engine": engine, "weighed": meter["total"], "prompt_tokens": prompt})
    room.stop(server)


def test_settings_are_asked_one_after_another_with_their_figures(room: Class) -> None:
    operator = room.operator
    configs = [
        ServeConfig("turbomind", str(DEMO_MODEL), cache_max_entry_count=0.1, session_len=1024 + number)
        for number in range(2)
    ]
    for config in configs:  # Lab has them afterwards
        server = operator.ready(operator.start(config), READY_S)
        room.stop(server)
        wait_for("its end", partial(has_stopped, operator, server["id"]), READY_S)

    def kept() -> list[dict[str, Any]]:
        found = operator.client.get("/console/chat/turn").raise_for_status().json()["settings"]
        return [one for one in found if "session_len 102" in one["name"]]

    runs = wait_for("both starts in Lab", lambda: found if len(found := kept()) == 2 else None, READY_S)
    *_, chosen = operator.call("chat_turn", [], {"runs": [one["id"] for one in runs]})
    assert chosen["success"], chosen
    lines = list(operator.ask("", "Hello!", temperature=0.0))
    assert lines[-1]["lanes"] == 2
    shown = operator.client.get(f"/console/chat/export?format=json&id={lines[-1]['id']}").raise_for_status().json()
    answers = shown["conversations"][0]["conversation"]["exchanges"][-1]["answers"]
    for answer, run in zip(answers, runs, strict=True):
        assert answer["state"] == "done", answer
        assert answer["server_name"] == run["name"]
        assert answer["text"].startswith("Hello!")
        setup = answer["setup"]
        assert (setup["bits"], setup["kv_bits"]) == (16, 16)
        assert setup["gpu_bytes"] > 200 << 20, setup
        print({"name": run["name"], **setup, **answer["stats"]})
    newest = max(servers_of(operator), key=lambda server: server["created_at"])["id"]
    wait_for("the last one's end", partial(has_stopped, operator, newest), READY_S)
    *_, ended = operator.call("chat_turn", [], {"runs": []})
    assert ended["success"], ended


def test_thirty_conversations_at_once(room: Class) -> None:
    server = room.server("turbomind")
    students = [Visitor(room.console, room.console.class_token) for _ in range(STUDENTS)]
    topics = [topic for topic in explain.topics() if topic.nouns["en"]][:STUDENTS]
    began = time.monotonic()
    with ThreadPoolExecutor(STUDENTS) as pool:
        answers = list(
            pool.map(
                lambda pair: ask(pair[0], server["id"], f"What is {pair[1].nouns['en'][-1]}?", temperature=0.0),
                zip(students, topics, strict=True),
            )
        )
    seconds = time.monotonic() - began
    for student in students:
        student.client.close()
    for answer in answers:
        assert (answer["state"], answer["end"]) == ("done", ""), answer
    # Everyone got the whole answer to their own question; the model is allowed a mistake, the console none.
    whole = sum(answer["text"].strip() == topic.answer["en"] for answer, topic in zip(answers, topics, strict=True))
    assert whole >= 0.9 * STUDENTS, [answer["text"] for answer in answers]
    figures = {
        "conversations": STUDENTS,
        "right": whole,
        "seconds": round(seconds, 2),
        "tokens": sum(answer["stats"]["answer_tokens"] for answer in answers),
        "ttft_ms_median": round(statistics.median(answer["stats"]["ttft_ms"] for answer in answers), 1),
        "ttft_ms_slowest": round(max(answer["stats"]["ttft_ms"] for answer in answers), 1),
    }
    print(figures)
    if out := os.environ.get("OUT"):
        Path(out, "chat.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    room.stop(server)
