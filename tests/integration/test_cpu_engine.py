"""What goes through the real CPU engine: one `transformers serve` with the demo model, as the console starts it.

It starts slowly, so it is started once; the tests come in the order of a life: started, found again, asked, stopped.
"""

import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets.demo_model.train import evaluate
from backend.chat.attachments import Upload
from backend.chat.conversation import AnswerState, Conversation, Sampling
from backend.chat.service import Chat
from backend.chat.session import View
from backend.engines.base import ServeConfig
from backend.models.catalog import DEMO_MODEL
from backend.processes import ports
from backend.processes.log_file import tail_lines
from backend.servers.log_reader import load_progress
from backend.servers.server import ServerState, ServerView
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.gateway_world import World, serving
from tests.support.model_servers import complete
from tests.support.page_code import run, shown, tutorial
from tests.support.waiting import wait_for
from ui.web.visitor import Role

PICTURES = DEMO_MODEL.parent / "sample_pictures"
START_S = 300.0
pytestmark = pytest.mark.timeout(900)


@dataclass
class Engine:
    """The server. ``world`` is the second console, which found it; ``address`` its own API (ends in /v1)."""

    world: World
    server_id: str
    folder: Path

    @property
    def view(self) -> ServerView:
        return self.world.services.servers.get(self.server_id)

    @property
    def address(self) -> str:
        return self.world.services.servers.endpoint(self.server_id).base_url

    @property
    def model_id(self) -> str:
        return self.world.services.servers.endpoint(self.server_id).model_id


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The demo model in a folder with an awkward name. One console starts it; another finds it, and waits for it."""
    root = tmp_path_factory.mktemp("cpu-engine")
    folder = root / "models" / 'it\'s --a "demo" 模型'
    folder.parent.mkdir()
    folder.symlink_to(DEMO_MODEL)
    settings = make_settings(root / "state", models=(folder.parent,))
    services = build_services(settings)
    try:
        wait_for("the environments are known", lambda: services.finder.machine().environments, START_S)
        config = ServeConfig(engine="transformers", model=str(folder))
        preview = services.servers.preview(config)
        assert not preview.errors
        assert preview.command is not None
        server_id = services.servers.start(config)
        assert services.servers.get(server_id).command == preview.command.preview()
    finally:
        services.close()
    with serving(settings) as world:
        engine = Engine(world, server_id, folder)

        def ready() -> bool:
            assert engine.view.state in (ServerState.STARTING, ServerState.RUNNING), engine.view.reason_lines
            return engine.view.state is ServerState.RUNNING

        try:
            wait_for("the server is ready", ready, START_S)
            yield engine
        finally:
            supervisor = world.services.supervisor
            for item in supervisor.all():
                supervisor.stop(item.id, grace_s=0)
            wait_for("all runs have ended", lambda: all(item.ended for item in supervisor.all()))


@pytest.fixture
async def chat(engine: Engine, tmp_path: Path) -> AsyncIterator[Chat]:
    services = engine.world.services
    chat = Chat(services.servers, services.store, tmp_path / "pictures")
    yield chat
    await chat.close()


def ask(engine: Engine, **body: Any) -> dict[str, Any]:
    """The answer's message to one request."""
    answer = complete(engine.address, {"model": engine.model_id, "max_tokens": 300} | body, START_S)
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message


def test_it_is_found_again_and_tells_how_it_loaded(engine: Engine) -> None:
    endpoint = engine.world.services.servers.endpoint(engine.server_id)
    assert (endpoint.model_id, endpoint.api_key, endpoint.takes_images) == (str(engine.folder), "", True)
    log = tail_lines(engine.world.services.supervisor.get(engine.server_id).log_path, 1000)
    stages = {load_progress("transformers", line)[0] for line in log}
    assert {"engines.stage.weights", "engines.stage.ready"} <= stages
    models = httpx.get(f"{engine.address}/models", timeout=START_S, trust_env=False).json()
    assert models == {"object": "list", "data": []}  # it lists what the hub's cache holds


async def last_of(chat: Chat, visitor: str) -> View:
    views = [view async for view in chat.watch(visitor)]
    return views[-1]


async def test_chat_asks_with_text_and_pictures_and_stops(engine: Engine, chat: Chat) -> None:
    me, other = "a" * 32, "b" * 32
    brief, server = Sampling(max_tokens=4), (engine.server_id,)
    prompts = []
    for pictures in ([], [Upload(PICTURES / "two_shapes.png", "two_shapes.png")]):
        await chat.asking.ask(me, "What is this?", pictures, brief, server)
        answer = (await last_of(chat, me)).conversation.exchanges[-1].answers[0]
        assert answer.state is AnswerState.DONE, answer.end
        assert answer.stats.ttft_ms is not None
        assert answer.stats.prompt_tokens is not None
        prompts.append(answer.stats.prompt_tokens)
    assert prompts[1] > prompts[0] + 30
    # A stopped answer frees the server, which works on one at a time.
    await chat.asking.ask(me, "Tell me a long story about a fox", (), Sampling(max_tokens=2_000, temperature=0), server)
    async for view in chat.watch(me):
        if view.conversation.exchanges[-1].answers[0].text:
            break
    await chat.stop(me)
    await chat.asking.ask(other, "Me too", (), brief, server)
    assert (await last_of(chat, other)).conversation.exchanges[-1].answers[0].state is AnswerState.DONE


def test_the_tutorials_scripts_and_the_pages(engine: Engine, tmp_path: Path) -> None:
    """The tutorials' own two, unchanged but for address and key; and the page's function calling, which ends in 16."""
    world = engine.world
    with world.openai() as client:
        name = client.models.list().data[0].id
    assert "fox" in run("python", tutorial(world, "story"), tmp_path)
    first, *_, last = run("python", tutorial(world, "function_calling"), tmp_path).splitlines()
    assert f"model={name!r}" in first
    assert int(last)
    code = shown(world, Role.CLASS, Conversation((), Sampling()))
    assert "16" in run("python", code["tools"]["python"], tmp_path).splitlines()[-1]
    assert run("python", code["whole"]["python"], tmp_path).strip()
    event = run("curl", code["stream"]["curl"], tmp_path).partition("\n")[0]
    assert json.loads(event.removeprefix("data: "))["model"] == name


def test_a_sample_of_the_evaluation_meets_the_bars(engine: Engine) -> None:
    cases = random.Random(11).sample(evaluate.all_cases(scale=0.02, seed=11), 24)
    results = evaluate.evaluate(cases, evaluate.server(engine.address, engine.model_id))
    marks = [(evaluate.BARS[case.group], right) for case, right, _ in results]
    expected = sum(bar for bar, _ in marks)
    spread = sum(bar * (1 - bar) for bar, _ in marks) ** 0.5  # of a sample of this size
    wrong = [(c.group, c.kind, c.expected, m.get("content")) for c, right, m in results if not right]
    assert sum(right for _, right in marks) >= expected - 2 * spread, wrong


@pytest.mark.parametrize(
    ("picture", "english", "chinese"),
    [
        (
            "two_shapes", "2 shapes: a red circle at the top left and a blue square at the bottom right.",
            "2 个图形：左上方的红色圆形和右下方的蓝色正方形。",
        ),
        (
            "big_and_small", "2 shapes: an orange triangle at the top right and a purple square on the left.",
            "2 个图形：右上方的橙色三角形和左边的紫色正方形。",
        ),
        (
            "hand_drawn", "2 shapes: a red heart at the top left and a black circle at the bottom right.",
            "2 个图形：左上方的红色心形和右下方的黑色圆形。",
        ),
        (
            "three_stars",
            "3 shapes: an orange star on the left, a purple star in the centre, and a green star on the right.",
            "3 个图形：左边的橙色星形、中间的紫色星形和右边的绿色星形。",
        ),
        (
            "five_shapes",
            "5 shapes: a yellow star at the top left, a pink heart at the top right, a white circle in the centre, "
            "a green triangle at the bottom left, and a red cross at the bottom right.",
            "5 个图形：左上方的黄色星形、右上方的粉色心形、中间的白色圆形、左下方的绿色三角形和右下方的红色十字。",
        ),
    ],
)  # fmt: skip
def test_the_sample_pictures_are_described(engine: Engine, picture: str, english: str, chinese: str) -> None:
    part = evaluate.picture_part(("image/png", (PICTURES / f"{picture}.png").read_bytes()))
    english, chinese = f"The picture shows {english}", f"图中有 {chinese}"
    for question, answer in (("What is in the picture?", english), ("图里有什么？", chinese)):
        content = [part, {"type": "text", "text": question}]
        assert ask(engine, messages=[{"role": "user", "content": content}], temperature=0)["content"] == answer


def test_compute_takes_two_calls_and_ends_in_16(engine: Engine) -> None:
    case = next(c for c in evaluate.tool_cases(1, random.Random(1)) if c.kind == "two steps")
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Compute (3+5)*2"}]
    for name, arguments, result in (("add", {"a": 3, "b": 5}, "8"), ("mul", {"a": 8, "b": 2}, "16")):
        call = ask(engine, messages=messages, tools=case.tools, temperature=0)["tool_calls"][0]
        assert call["function"]["name"] == name
        assert json.loads(call["function"]["arguments"]) == arguments
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        ]
    assert "16" in ask(engine, messages=messages, tools=case.tools, temperature=0)["content"]


def test_a_story_is_the_same_at_0_and_another_at_1(engine: Engine) -> None:
    messages = [{"role": "user", "content": "Tell me a short story about a fox and a watermelon"}]
    first = ask(engine, messages=messages, temperature=0)["content"]
    assert "fox" in first
    assert "watermelon" in first
    assert ask(engine, messages=messages, temperature=0)["content"] == first
    varied = {ask(engine, messages=messages, temperature=1, top_p=1, seed=seed)["content"] for seed in (1, 2, 3)}
    assert len(varied) > 1


def test_it_stops_when_it_is_told_to(engine: Engine) -> None:
    port = engine.view.port
    engine.world.services.servers.stop(engine.server_id)
    wait_for("stopped", lambda: engine.view.state is ServerState.STOPPED, START_S)
    assert engine.view.stop_signal == "SIGTERM"
    assert ports.is_free("127.0.0.1", port)
