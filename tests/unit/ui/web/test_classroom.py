"""The class's routes: who learns whose name, and limits in words."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from backend.services import Services, build_services
from tests.conftest import make_settings
from tests.support.asgi import client
from ui.i18n import Language
from ui.web.classroom import class_routes
from ui.web.visitor import STATE_KEY, Role, Visitor


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = build_services(make_settings(tmp_path_factory.mktemp("class") / "state"))
    yield made
    made.close()


def asking(services: Services, role: Role, who: str, language: Language = "en") -> httpx.AsyncClient:
    app = Starlette(routes=list(class_routes(services)))

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {STATE_KEY: Visitor(role, language, who * 32)}
        await app(scope, receive, send)

    return client(seen)


async def test_a_name_is_told_to_its_visitor_and_to_the_operator_alone(services: Services) -> None:
    li, other = asking(services, Role.CLASS, "a"), asking(services, Role.CLASS, "b")
    teacher = asking(services, Role.OPERATOR, "c")
    assert (await li.post("/class/name", json={"name": "Li <i>Lei</i>"})).json() == {"name": "Li <i>Lei</i>"}
    assert (await li.get("/class/name")).json() == {"name": "Li <i>Lei</i>"}
    assert (await other.get("/class/name")).json() == {"name": ""}
    assert (await other.get("/class")).status_code == 403
    assert (await other.post("/class/limits", json={})).status_code == 403
    services.visitors.note("class", "a" * 32)
    services.visitors.note("class", "b" * 32)
    services.allowances.begin("d" * 32)  # by a program: no page is open
    people = (await teacher.get("/class")).json()["people"]
    assert [(one["who"], one["name"], one["here"], one["requests"]) for one in people] == [
        ("a" * 8, "Li <i>Lei</i>", True, 0),
        ("b" * 8, "", True, 0),
        ("d" * 8, "", False, 1),
    ]
    assert services.lab.lessons.name("a" * 32) == "Li <i>Lei</i>"  # a report and the teacher's view have it, too


@pytest.mark.parametrize("name", [None, 7, ["x"]])
async def test_what_is_no_name_is_refused(services: Services, name: object) -> None:
    assert (await asking(services, Role.CLASS, "a").post("/class/name", json={"name": name})).status_code == 400


async def test_limits_are_set_and_wrong_ones_named_in_the_pages_language(services: Services) -> None:
    teacher = asking(services, Role.OPERATOR, "c", "zh")
    given = {"requests_a_minute": "5", "tokens_an_hour": " 20,000 ", "pictures_a_question": "", "pictures_an_hour": 3}
    kept = {
        "requests_a_minute": 5, "tokens_an_hour": 20000, "pictures_a_question": None, "pictures_an_hour": 3,
    }  # fmt: skip
    assert (await teacher.post("/class/limits", json=given)).json() == {"limits": kept}
    wrong = await teacher.post("/class/limits", json={**given, "requests_a_minute": "0", "pictures_an_hour": "three"})
    assert wrong.status_code == 400
    assert [text.partition("：")[0] for text in wrong.json()["messages"]] == ["每分钟提问数", "每小时图片数"]
    assert (await teacher.get("/class")).json()["limits"] == kept
