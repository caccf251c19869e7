"""The Lab's routes: what a class may do, whose way is whose, files, and words for what is wrong."""

import base64
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from backend.models.catalog import DEMO_MODEL
from backend.services import Services, build_services
from tests.conftest import make_settings
from tests.support.asgi import client
from tests.unit.backend.lab.test_runs import a_row
from ui.i18n import Language
from ui.tabs.lab.routes import routes
from ui.web.visitor import STATE_KEY, Role, Visitor

KEY = "lm-" + "K" * 32


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = build_services(make_settings(tmp_path_factory.mktemp("lab") / "state"))
    made.lab.runs.keep(a_row(1, tokens=5, name="=cmd()", detail={"config": {"engine": "turbomind", "model": "/m"}}))
    made.lab.runs.keep(a_row(2, tokens=7, note="", name="b | c"))
    yield made
    made.close()


def asking(
    services: Services, role: Role = Role.OPERATOR, who: str = "a", language: Language = "en"
) -> httpx.AsyncClient:
    app = Starlette(routes=list(routes(services)))

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {STATE_KEY: Visitor(role, language, who * 32)}
        await app(scope, receive, send)

    return client(seen)


async def test_runs_are_listed_noted_and_kept_as_files(services: Services) -> None:
    ask = asking(services)
    found = (await ask.get("/lab/runs?sort=tokens&order=up")).json()
    assert ([row["id"] for row in found["rows"]], found["total"]) == (["r1", "r2"], 2)
    assert (await ask.post("/lab/runs/note", json={"id": "r2", "note": "good"})).json() == {"note": "good"}
    table = (await ask.get("/lab/runs/file?format=csv")).text
    rows = list(csv.DictReader(table.splitlines()))
    assert {row["name"]: row["note"] for row in rows} == {"'=cmd()": "", "b | c": "good"}  # no formula
    text = (await ask.get("/lab/runs/file?format=md&ids=r2&columns=name,tokens")).text
    assert text.splitlines()[-1] == "| b \\| c | 7 |"
    whole = (await ask.get("/lab/runs/file?format=json&ids=r1")).json()
    assert whole[0]["detail"]["config"]["model"] == "/m"
    beside = (await ask.post("/lab/runs/beside", json={"ids": ["r1", "gone", "r2"]})).json()
    assert [row["id"] for row in beside["rows"]] == ["r1", "r2"]
    assert (await ask.get("/lab/runs/points?x=started_at&y=tokens")).json()["points"][0][3] == 7
    assert (await ask.get("/lab/history?window=3600")).json()["step"] == 10


@pytest.mark.parametrize(
    "path",
    [
        "/lab/runs?sort=folded", "/lab/runs?skip=-1", "/lab/runs/points?x=note&y=tokens", "/lab/runs/file?format=exe",
        "/lab/history?window=nan", "/lab/history?window=1e99", "/lab/lessons/tools/report?format=exe",
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(services: Services, path: str) -> None:
    answer = await asking(services, language="zh").get(path)
    assert (answer.status_code, len(answer.json()["messages"])) == (400, 1)


async def test_a_class_learns_and_nothing_else(services: Services) -> None:
    guest = asking(services, Role.CLASS, "b")
    for path in (
        "/lab/runs",
        "/lab/runs/file",
        "/lab/history",
        "/lab/benchmarks",
        "/lab/lessons/class",
        "/lab/benchmarks/x/file",
        "/lab/benchmarks/x/compared",
        "/lab/tables",
    ):
        assert (await guest.get(path)).status_code == 403, path
    for path in (
        "/lab/runs/note", "/lab/runs/delete", "/lab/runs/beside", "/lab/benchmarks/start", "/lab/benchmarks/cost",
        "/lab/benchmarks/x/cancel", "/lab/benchmarks/x/forget", "/lab/lessons/add", "/lab/lessons/tools/remove",
    ):  # fmt: skip
        assert (await guest.post(path, json={})).status_code == 403, path
    assert len((await guest.get("/lab/lessons")).json()["lessons"]) == 11


async def test_the_table_is_offered_for_what_is_there_and_costs_what_is_said(services: Services) -> None:
    ask = asking(services, language="zh")
    offered = (await ask.get("/lab/tables")).json()
    demo = next(one for one in offered["models"] if one["path"] == str(DEMO_MODEL))
    assert (offered["gpu"], demo["own_code"]) == (False, False)
    cost = (await ask.post("/lab/benchmarks/cost", json={"kind": "table", "table": str(DEMO_MODEL)})).json()
    assert (len(cost["targets"]), cost["questions"], cost["asked"]) == (1, 14, [])
    assert all("GPU" in line for line in cost["skipped"])
    assert len(cost["skipped"]) == 3
    for wrong in ({}, {"table": "/nowhere"}, {"table": 7}, {"table": ["/m"]}):
        answer = await ask.post("/lab/benchmarks/cost", json={"kind": "table", **wrong})
        assert (answer.status_code, len(answer.json()["messages"])) == (400, 1), wrong
    for wrong in ({"questions": "fr"}, {"questions": "", "question": " "}, {"text": "x" * 20_001, "questions": "en"}):
        body = {"kind": "quality", "servers": ["gone"], **wrong}
        assert (await ask.post("/lab/benchmarks/start", json=body)).status_code == 400, wrong
    body = {"kind": "quality", "servers": ["gone"], "questions": "zh"}
    assert (await ask.post("/lab/benchmarks/start", json=body)).status_code == 404
    assert (await ask.get("/lab/benchmarks/gone/compared")).status_code == 404


async def test_what_an_operator_began_before_anything_else_stays_theirs(services: Services) -> None:
    """Whoever opens the Lab first and chats later is the operator all the while, and so are their other browsers."""
    mine, other = asking(services, who="7"), asking(services, who="8")
    step = {"step": "weights-16", "value": "14.4"}
    assert (await mine.post("/lab/lessons/memory-arithmetic/predict", json=step)).json() == {}
    services.chat.people.note("7" * 32, "operator")
    assert (await mine.get("/lab/lessons/memory-arithmetic")).json()["done"] == 1
    assert (await other.get("/lab/lessons/memory-arithmetic")).json()["done"] == 1


async def test_each_has_a_way_of_their_own_and_the_teacher_sees_all(services: Services) -> None:
    mine, theirs = asking(services, Role.CLASS, "c"), asking(services, Role.CLASS, "d", "zh")
    step = {"step": "weights-16", "value": "14.4 GiB"}
    assert (await mine.post("/lab/lessons/memory-arithmetic/predict", json=step)).json() == {}
    await mine.post("/lab/lessons/memory-arithmetic/words", json={"words": f"my words, {KEY}"})
    await mine.post("/lab/lessons/name", json={"name": "Han Meimei"})
    lesson = (await mine.get("/lab/lessons/memory-arithmetic")).json()
    assert (lesson["done"], lesson["steps"][0]["done"]) == (1, "predicted")
    assert "Right" in lesson["steps"][0]["explained"]
    other = (await theirs.get("/lab/lessons/memory-arithmetic")).json()
    assert (other["done"], other["words"]) == (0, "")
    for kind in ("html", "md", "json"):
        own = await mine.get(f"/lab/lessons/memory-arithmetic/report?format={kind}")
        assert "my words" in own.text
        assert KEY not in own.text
        assert str(services.settings.state_dir) not in own.text
        assert "my words" not in (await theirs.get(f"/lab/lessons/memory-arithmetic/report?format={kind}")).text
    wrong = await theirs.post("/lab/lessons/memory-arithmetic/predict", json={"step": "cache", "value": "viel"})
    assert (wrong.status_code, "viel" in wrong.text) == (400, True)
    assert (await theirs.post("/lab/lessons/memory-arithmetic/explode", json={})).status_code == 400
    seen = (await asking(services).get("/lab/lessons/class")).json()
    by_name = {one["name"]: one["ways"] for one in seen["people"]}
    assert by_name["Han Meimei"] == [{"id": "memory-arithmetic", "done": 1, "of": 6}]


async def test_a_teachers_lesson_comes_and_goes(services: Services) -> None:
    teacher = asking(services)
    text = (Path(__file__).parents[5] / "assets" / "lessons" / "10-tools.md").read_bytes()
    good = base64.b64encode(text.replace(b"id: tools", b"id: mine", 1)).decode()
    assert (await teacher.post("/lab/lessons/add", json={"name": "x.md", "content": good})).json() == {"id": "mine"}
    for content in ("not base64!", base64.b64encode(b"\xff").decode(), base64.b64encode(text).decode()):
        answer = await teacher.post("/lab/lessons/add", json={"name": "../x.md", "content": content})
        assert answer.status_code == 400, content[:20]
    assert (await teacher.post("/lab/lessons/mine/remove", json={})).status_code == 200
    assert (await teacher.post("/lab/lessons/tools/remove", json={})).status_code == 404
    assert len((await teacher.get("/lab/lessons")).json()["lessons"]) == 11


async def test_what_a_benchmark_costs_is_said_first(services: Services) -> None:
    ask = asking(services)
    assert (await ask.get("/lab/benchmarks")).json() == {"benchmarks": []}
    wrong = await ask.post("/lab/benchmarks/cost", json={"users": "x", "seconds": "-1"})
    assert (wrong.status_code, len(wrong.json()["messages"])) == (400, 5)
    form = {"runs": ["r1"], "users": "1-4", "prompt_tokens": 8, "answer_tokens": 8, "seconds": 5}
    cost = (await ask.post("/lab/benchmarks/cost", json=form)).json()
    assert (cost["seconds"], cost["levels"], cost["most_users"], cost["asked"]) == (90, 3, 4, [])
    assert json.dumps(cost)
    gone = await ask.post("/lab/benchmarks/start", json={**form, "runs": [], "servers": ["gone"]})
    assert gone.status_code == 404
