"""The routes of "Get a model": who may use them, what a card says, and what a wrong request gets."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from backend.downloads.manager import Answer
from backend.downloads.offers import Offer, Offered
from backend.downloads.places import Place
from backend.downloads.sources import Source, Wanted
from backend.downloads.values import Found, RemoteFile, Repository
from backend.errors import Message
from backend.machine.machine import Gpu, Machine
from backend.memory_plan.model_shape import read_shape
from backend.memory_plan.planner import Planner
from backend.models.catalog import Catalog
from backend.models.checkpoint import read_model, read_tensors
from backend.services import Services
from tests.support.asgi import client
from tests.support.sparse_checkpoints import INTERNLM2_5_7B, llama
from ui.tabs.deploy.get_model import download_routes
from ui.tabs.deploy.values import CONTROLS, DEFAULTS, FormValues, form_values
from ui.web.visitor import STATE_KEY, Role, Visitor

SOURCE = Source("huggingface", "https://hf.example")
OTHER = Source("modelscope", "https://ms.example")


class FakeDownloads:
    """What the routes ask of the manager; ``said`` are the calls."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.said: list[tuple[Any, ...]] = []
        self.tokens = SimpleNamespace(has=lambda source: source == OTHER)

    def ask(self, text: str) -> Answer:
        self.said.append(("ask", text))
        return self.answer

    def places(self, offered: Offered) -> tuple[Place, ...]:
        return (Place("hub", Path("/cache"), 5),)

    def start(self, *arguments: Any) -> str:
        self.said.append(("start", *arguments))
        return "new"

    def keep_token(self, *arguments: Any) -> None:
        self.said.append(("token", *arguments))

    def pause(self, download_id: str) -> None:
        self.said.append(("pause", download_id))


def offer(folder: Path) -> Offer:
    model = read_model(llama(folder, INTERNLM2_5_7B), "org/m")
    repository = Repository("org/m", "c" * 40, (RemoteFile("config.json", 10),), "apache-2.0", True)
    refused = Message("downloads.failed.gated", {"repository": "org/m", "address": "https://ms.example"}, "model")
    offered = (
        Offered(SOURCE, "org/m", repository, 1e6, None),
        Offered(OTHER, "org/m", repository, None, refused),
    )
    shape = read_shape(model, read_tensors(folder))
    return Offer("1", Wanted("org/m"), offered, 0, model, shape, repository.files, 7, (Path("/models/m"),))


def routes_of(downloads: FakeDownloads, gpus: tuple[Gpu, ...] = (), role: Role = Role.OPERATOR) -> Any:
    services = SimpleNamespace(
        downloads=downloads,
        finder=SimpleNamespace(machine=lambda: Machine(gpus, "", "", ())),
        planner=Planner(Catalog(()).find, lambda: gpus),
    )
    app = Starlette(routes=download_routes(cast(Services, services)))

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {STATE_KEY: Visitor(role, "en", "0" * 32)}
        await app(scope, receive, send)

    return client(seen)


def form(**changes: object) -> list[object]:
    values = {**form_values(DEFAULTS).values, "engine": "turbomind", **changes}
    return [FormValues(values).values[name] for name in CONTROLS]


@pytest.mark.parametrize(
    ("card", "changes", "level"),
    [("24", {}, "fits"), ("8", {}, "over"), ("nonsense", {}, "unknown"), ("8", {"tp": "x"}, "over")],
)
async def test_a_card(tmp_path: Path, card: str, changes: dict[str, object], level: str) -> None:
    """A 7 B model in 16 bits, on cards of that many GiB, with settings that can be read or not."""
    downloads = FakeDownloads(Answer(offer(tmp_path / "m")))
    body = {"text": "org/m", "form": form(**changes), "card": card}
    shown = (await routes_of(downloads).post("/downloads/ask", json=body)).json()["offer"]
    assert downloads.said == [("ask", "org/m")]
    assert shown["verdict"]["level"] == level
    assert shown["here"] == ["/models/m"]
    facts = dict(shown["facts"])
    assert facts["Bits a parameter"] == "16.0 (bfloat16)"
    assert facts["Parameters"].startswith("7.7")
    first, second = shown["sources"]
    assert (first["can_give"], first["places"][0]["id"], first["licence"]) == (True, "hub", "apache-2.0")
    assert (second["can_give"], second["places"], second["token_helps"], second["has_token"]) == (False, [], True, True)
    assert "Ask for access" in second["problem"]


async def test_a_search(tmp_path: Path) -> None:
    found = ((SOURCE, (Found("org/m", 7, False),), None), (OTHER, (), Message("downloads.failed.too-many")))
    downloads = FakeDownloads(Answer(found=found))
    answer = (await routes_of(downloads).post("/downloads/ask", json={"text": "m"})).json()
    assert answer["found"][0] == {
        "source": "hf.example",
        "problem": None,
        "models": [{"id": "org/m", "downloads": 7, "gated": False}],
    }
    assert "429" in answer["found"][1]["problem"]


async def test_what_is_done() -> None:
    downloads = FakeDownloads(Answer())
    asking = routes_of(downloads)
    assert (await asking.post("/downloads", json={"offer": "1", "source": 0, "place": "hub"})).json() == {"id": "new"}
    await asking.post("/downloads/token", json={"endpoint": "https://hf.example", "token": "t"})
    await asking.post("/downloads/abc/pause", json={})
    assert downloads.said == [("start", "1", 0, "hub"), ("token", "https://hf.example", "t"), ("pause", "abc")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/downloads/ask", {}),
        ("/downloads/ask", {"text": 5}),
        ("/downloads", {"offer": "1", "source": "0", "place": "hub"}),
        ("/downloads", {"offer": "1", "source": True, "place": "hub"}),
        ("/downloads/token", {"endpoint": "https://hf.example"}),
        ("/downloads/abc/close", {}),
        ("/downloads/abc/__init__", {}),
    ],
)
async def test_wrong_requests(path: str, body: dict[str, object]) -> None:
    downloads = FakeDownloads(Answer())
    assert (await routes_of(downloads).post(path, json=body)).status_code == 400
    assert downloads.said == []


@pytest.mark.parametrize("path", ["/downloads/ask", "/downloads", "/downloads/token", "/downloads/abc/pause"])
async def test_the_operators_alone(path: str) -> None:
    downloads = FakeDownloads(Answer())
    body = {"text": "m", "offer": "1", "source": 0, "place": "hub", "endpoint": "x", "token": "t"}
    assert (await routes_of(downloads, role=Role.CLASS).post(path, json=body)).status_code == 403
    assert downloads.said == []
