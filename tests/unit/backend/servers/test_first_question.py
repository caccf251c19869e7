"""The first question: what is asked, how what came is judged, and what the view then holds."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image

from backend.engines.base import ServeConfig
from backend.engines.remedies import restarts
from backend.errors import Message, NotFound
from backend.servers.first_question import FirstQuestion, ask, is_asked, judge, picture, request, said
from backend.servers.probe import Prober
from backend.servers.server import Crash, FirstAnswer, Life, ServerRecord, ServerState, ServerView

VIEW = ServerView(
    id="a", name="n :1", state=ServerState.RUNNING, config=ServeConfig("turbomind", "m"), model_path="/m", model_id="m",
    address="http://h:1", base_url="http://h:1/v1", port=1, pid=1, command="c", environment="e", takes_images=False,
    context_length=8, created_at=1.0, ready_at=2.0,
)  # fmt: skip

Reply = Callable[[dict[str, Any]], tuple[int, object]]


@contextmanager
def server(reply: Reply) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
            status, answer = reply(body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1", asked
    finally:
        http.shutdown()
        http.server_close()


def says(*texts: str) -> Reply:
    """One text a question, the last one for ever."""
    left = list(texts)
    return lambda body: (200, {"choices": [{"message": {"content": left.pop(0) if len(left) > 1 else left[0]}}]})


def asked(reply: Reply, view: ServerView = VIEW) -> tuple[FirstAnswer, list[dict[str, Any]]]:
    prober = Prober()
    with server(reply) as (address, questions):
        answer = ask(replace(view, base_url=address), "key", prober)
    prober.close()
    return answer, questions


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("Hello", "fine"), ("你好", "fine"), ("42", "fine"), ("Привет!", "fine"), ("hahaha", "fine"),
        ("", "empty"), (" \n ", "empty"),
        ("!!!!!!!!!!!!!!!!", "nonsense"), ("�� ok", "nonsense"), ("<unk><unk><unk>", "nonsense"),
        ("of of of of of of of of of", "nonsense"), ("aaaaaaaaaaaa", "nonsense"), ("…,.;", "nonsense"),
    ],
)  # fmt: skip
def test_judged(text: str, judged: str) -> None:
    assert judge(text) == judged


def test_one_token_is_enough_for_a_sound_server() -> None:
    answer, questions = asked(says("Hello"))
    assert (answer.state, answer.text, answer.problem) == ("fine", "Hello", None)
    assert [q["max_tokens"] for q in questions] == [1]
    assert questions[0]["path"] == "/v1/chat/completions"
    assert questions[0]["key"] == "Bearer key"


def test_what_one_token_does_not_tell_is_asked_again() -> None:
    answer, questions = asked(says("👋", "👋 Hello!"))
    assert answer.state == "fine"
    assert [q["max_tokens"] for q in questions] == [1, 16]
    # A thought's first token is often none of the answer.
    thinking = {"choices": [{"message": {"content": "", "reasoning_content": "Well"}}]}
    assert asked(lambda body: (200, thinking))[0].state == "fine"


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_nonsense_is_said_and_can_be_corrected(dtype: str) -> None:
    answer, _ = asked(says("!", "!" * 16))
    assert answer.state == "strange"
    assert answer.problem is not None
    assert answer.problem.key == "servers.first.nonsense"
    config = ServeConfig("turbomind", "m", dtype=dtype, quant_policy=4)
    offered = [remedy.settings for remedy in restarts(answer.problem, config)]
    assert offered == [{"dtype": "float16" if dtype == "auto" else "auto"}, {"quant_policy": 0}]


@pytest.mark.parametrize(
    ("config", "offered"),
    [
        (ServeConfig("turbomind", "m", extra=("--chat-template", "qwen")), [{"extra": ()}, {"dtype": "float16"}]),
        (ServeConfig("pytorch", "m", dtype="float16", quant_policy=8), [{"dtype": "auto"}, {"quant_policy": 0}]),
        (ServeConfig("transformers", "m"), [{"dtype": "float32"}]),  # float16 is no good on a CPU
    ],
)
def test_silence_can_be_corrected(config: ServeConfig, offered: list[dict[str, object]]) -> None:
    answer, _ = asked(says(""))
    assert [remedy.settings for remedy in restarts(answer.problem, config)] == offered


@pytest.mark.parametrize("answer", [{}, [], {"choices": []}, {"choices": [{"message": {"content": None}}]}, "x", None])
def test_whatever_comes_is_survived(answer: Any) -> None:
    assert said(answer) == ""
    found, _ = asked(lambda body: (200, answer))
    assert found.problem is not None
    assert found.problem.key == "servers.first.empty"


def test_the_log_says_why_it_failed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("INFO:     Uvicorn running on http://127.0.0.1:1\n")

    def reply(body: dict[str, Any]) -> tuple[int, object]:
        with log.open("a") as file:
            file.write("Traceback (most recent call last):\n")
            file.write('  File "/x/serve.py", line 1, in f\n')
            file.write("RuntimeError: CUDA error: misaligned address\n")
        return 500, {"error": "Internal Server Error"}

    answer, _ = asked(reply, replace(VIEW, log_path=log))
    assert answer.state == "failed"
    assert answer.problem is not None
    assert answer.problem.key == "engines.died.kv-misaligned"


def test_a_silent_failure_is_told_as_such(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    answer, _ = asked(lambda body: (418, {}), replace(VIEW, log_path=log))
    assert answer.problem == Message("servers.first.status", {"name": "n :1", "status": 418})
    prober = Prober()
    gone = ask(replace(VIEW, base_url="http://127.0.0.1:1/v1"), "", prober)
    prober.close()
    assert gone.problem is not None
    assert gone.problem.key == "servers.first.no-answer"


def test_a_vision_model_is_shown_a_picture() -> None:
    content = request(replace(VIEW, takes_images=True), 1)["messages"][0]["content"]
    encoded = content[1]["image_url"]["url"].partition(",")[2]
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert image.size == (64, 64)
    assert image.convert("RGB").getpixel((5, 5)) == (0xD0, 0x20, 0x20)
    assert picture().startswith(b"\x89PNG")


def test_who_is_asked() -> None:
    assert is_asked(VIEW)
    assert is_asked(replace(VIEW, first=FirstAnswer("asking")))  # the console that asked was killed
    assert not is_asked(replace(VIEW, first=FirstAnswer("fine", "x")))
    assert not is_asked(replace(VIEW, state=ServerState.STARTING))
    assert not is_asked(replace(VIEW, asleep=True))
    for engine in ("external", "proxy"):
        assert not is_asked(replace(VIEW, config=ServeConfig(engine, "")))


def test_what_came_is_in_the_view_and_kept() -> None:
    views = [VIEW]

    def update(change: Callable[[ServerView], ServerView]) -> ServerView:
        views.append(change(views[-1]))
        return views[-1]

    prober = Prober()
    with server(says("Hello")) as (address, _):
        views[0] = replace(VIEW, base_url=address)
        thread = FirstQuestion(views[0], update, lambda: "", prober)
        thread.start()
        thread.join(30)
    prober.close()
    assert [view.first.state for view in views if view.first] == ["asking", "fine"]
    problem = Message("servers.first.empty", {"name": "n"})
    view = replace(
        views[-1],
        first=FirstAnswer("strange", "", 1.5, problem),
        life=Life(3, 600.0, True),
        crash=Crash(5.0, 2, problem, 9.0),
        asleep=True,
    )
    record = ServerRecord(view, None)
    assert ServerRecord.from_json(json.loads(json.dumps(record.to_json()))).view == view
    old = record.to_json()
    for name in ("first", "life", "crash", "asleep"):  # as an older version wrote it
        del old["view"][name]
    assert ServerRecord.from_json(old).view == replace(view, first=None, life=Life(), crash=None, asleep=False)


def test_a_server_that_is_forgotten_meanwhile_ends_the_question() -> None:
    def update(change: Callable[[ServerView], ServerView]) -> ServerView:
        raise NotFound(Message("servers.not-found", {"id": "a"}))

    thread = FirstQuestion(VIEW, update, lambda: "", Prober())
    thread.run()
