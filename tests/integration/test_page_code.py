"""The code that Chat shows, run as it stands: through the console's own address, with nothing else at hand."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from backend.chat.conversation import Answer, AnswerState, Conversation, Exchange, Picture, Question, Sampling
from backend.settings import Settings
from tests.support.gateway_world import TOKENS, World, serving
from tests.support.page_code import run, shown
from tests.support.scripted_server import Scripted
from ui.web.visitor import Role

NASTY = 'It\'s "quoted" $HOME $(id) `id` \\n 中文 {}\nJSON\n'
MODEL = "a 'model'"
ROLES = pytest.mark.parametrize("role", list(Role))


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    with serving(settings) as world:
        yield world


@pytest.fixture
def child(world: World) -> Iterator[Scripted]:
    child = Scripted()
    world.connect(child, MODEL)
    yield child
    child.close()


def picture(world: World, folder: Path) -> Picture:
    Image.new("RGB", (64, 48), "red").save(folder / "a cat's.png")
    kept, _ = world.services.chat.pictures.keep("a" * 32, folder / "a cat's.png", "a cat's.png")
    return kept


@ROLES
@pytest.mark.parametrize("variant", ["stream", "whole"])
def test_several_turns_with_a_picture(world: World, child: Scripted, role: Role, variant: str, tmp_path: Path) -> None:
    child.script(text="It's `fine`.")
    answered = Answer("s", "Server", "m", AnswerState.DONE, "Hello $USER!")
    asked = Conversation(
        (Exchange(Question("Hi"), (answered,)), Exchange(Question(NASTY, (picture(world, tmp_path),)))),
        Sampling(system="$S", temperature=0.25, top_p=0.5, max_tokens=7),
    )
    for language, code in shown(world, role, asked)[variant].items():
        assert "`fine`." in run(language, code, tmp_path / "elsewhere")
        body = child.requests()[-1]["body"]
        system, first, answer, last = body["messages"]
        assert (system["content"], first["content"], answer["content"]) == ("$S", "Hi", "Hello $USER!")
        assert last["content"][0]["image_url"]["url"].startswith("data:image/")
        assert last["content"][1] == {"type": "text", "text": NASTY}
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.25, 0.5, 7)
        assert body.get("stream", False) == (variant == "stream")


@ROLES
def test_function_calling_ends_in_sixteen(world: World, child: Scripted, role: Role, tmp_path: Path) -> None:
    code = shown(world, role, Conversation((), Sampling()))["tools"]["python"]
    child.script(text="It is 16.", calls=[[("add", '{"a": 3, "b": 5}')], [("mul", '{"a": 8, "b": 2}')]])
    assert run("python", code, tmp_path).splitlines() == [
        "add {'a': 3, 'b': 5} -> 8",
        "mul {'a': 8, 'b': 2} -> 16",
        "It is 16.",
    ]
    *_, last = child.requests()
    results = [message for message in last["body"]["messages"] if message["role"] == "tool"]
    assert [message["content"] for message in results] == ["8", "16"]


def test_pictures_are_for_the_page_that_they_are_on(world: World, child: Scripted, tmp_path: Path) -> None:
    kept = picture(world, tmp_path)
    keys = world.services.gateway.keys
    own, other = keys.page_key("class", "a" * 32), keys.page_key("class", "b" * 32)
    path = f"/v1/files/{kept.id}/content"
    with world.client(own) as client:
        whole = client.get(path)
        assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
        assert client.head(path).content == b""
        assert client.post(path).status_code == 405
        for wrong in ("/v1/files/..%2f..%2fstore.sqlite/content", "/v1/files/%00.png/content", "/v1/files//content"):
            refused = client.get(wrong)
            assert refused.status_code == 404, wrong
        for none in ("/v1/files", f"/v1/files/{kept.id}", f"{path}/more"):
            assert client.get(none).json()["error"]["code"] == "unknown_path"
    for key in (other, TOKENS["operator"]):
        with world.client(key) as client:
            assert client.get(path).status_code == 404
    assert httpx.get(world.address + path, trust_env=False).status_code == 401
