"""Lessons: the shipped ones, broken and hostile files, states, predictions, each visitor's way, the report."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, NotFound
from backend.lab.lessons import report as reports
from backend.lab.lessons.book import SHELF, Lessons
from backend.lab.lessons.figures import FIGURES, is_close, load_replays, read_prediction
from backend.lab.lessons.lesson import MOST_BYTES, read_lesson
from backend.lab.lessons.progress import PREDICTED, Done
from backend.lab.lessons.states import STATES, Facts
from backend.memory_plan.planner import Planner
from backend.models.catalog import Catalog
from backend.store import Store
from tests.unit.backend.lab.test_runs import GIB, a_view

REPLAYS = load_replays()
ROOT = Path(__file__).parents[5]
DEMO = ROOT / "assets" / "demo_model"
GOOD = """---
id: mine
title: My lesson
steps:
  - id: run
    check: server.running
    with: {quant_policy: 4}
    text: {en: Start it., zh: 启动。}
  - id: guess
    predict: weights
    with: {parameters_b: 1, bits: 8}
    text: How many GiB?
  - id: look
    read: true
    tab: vram
    control: vram-chart
    text: <script>alert(1)</script>
---
Hello.

<!-- zh -->
您好。
"""


def lesson_of(text: str | bytes) -> Any:
    return read_lesson(text if isinstance(text, bytes) else text.encode(), "mine.md", REPLAYS)


def test_a_file_is_read() -> None:
    lesson = lesson_of("\ufeff" + GOOD.replace("\n", "\r\n"))
    assert (lesson.id, lesson.title.zh, lesson.intro.en, lesson.intro.zh) == ("mine", "My lesson", "Hello.", "您好。")
    assert [(step.kind, step.what) for step in lesson.steps] == [
        ("check", "server.running"), ("predict", "weights"), ("read", ""),
    ]  # fmt: skip
    assert lesson.steps[2].text.en == "<script>alert(1)</script>"  # a text, and shown as one


def test_what_no_page_can_show_is_made_visible() -> None:
    lesson = lesson_of("\n" + GOOD.replace("\n", "\r").replace("My lesson", r'"\ud800 \e[31m"'))
    assert lesson.title.en == r"\ud800 ␛[31m"


BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"", "front"),
        (b"# no front matter", "front"),
        (GOOD.encode("gb18030"), "encoding"),
        (GOOD.encode("utf-16"), "encoding"),
        (b"---\n" + b"x" * MOST_BYTES + b"\n---\n", "large"),
        ("---\nid: [\n---\n", "yaml"),
        (f"---\n{BOMB}---\n", "yaml"),
        ("---\n" + "[" * 5000 + "\n---\n", "yaml"),
        ("---\n!!python/object/apply:os.system ['true']\n---\n", "yaml"),
        ("---\n- a list\n---\n", "mapping"),
        (GOOD.replace("id: mine", "id: ../../etc"), "id"),
        (GOOD.replace("id: mine", "id: 7"), "id"),
        (GOOD.replace("steps:", "code: print(1)\nsteps:"), "unknown"),
        (GOOD.replace("server.running", "server.exploded"), "unknown"),
        (GOOD.replace("predict: weights", "predict: fate"), "unknown"),
        (GOOD.replace("{quant_policy: 4}", "{shell: rm}"), "unknown"),
        (GOOD.replace("{quant_policy: 4}", "{quant_policy: [4]}"), "value"),
        (GOOD.replace("{quant_policy: 4}", "{quant_policy: .nan}"), "value"),
        (GOOD.replace(", bits: 8", ""), "missing"),
        (GOOD.replace("read: true", "read: true\n    check: model.found"), "kind"),
        (GOOD.replace("control: vram-chart", "control: 'x\"] , body'"), "control"),
        (GOOD.replace("tab: vram", "tab: nowhere"), "unknown"),
        (GOOD.replace("id: guess", "id: run"), "twice"),
        (GOOD.replace("text: How many GiB?", "text: 5"), "text"),
        (GOOD.replace("title: My lesson", "title: ''"), "text"),
        (GOOD.replace("title: My lesson", "title: My lesson\ntitle: Another"), "yaml"),
        (GOOD.replace("Hello.", "x" * 4001), "text"),
        (GOOD.replace("title: My lesson", "title: My lesson\norder: -1"), "value"),
        (re.sub(r"steps:.*?---", "steps: []\n---", GOOD, flags=re.DOTALL), "steps"),
    ],
)  # fmt: skip
def test_a_broken_or_hostile_file_is_refused_with_a_word(text: str | bytes, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        lesson_of(text)
    (message,) = caught.value.messages
    assert (message.key, message.params["name"]) == (f"lab.lesson.file.{key}", "mine.md")


def test_settings_are_asked_for_one_by_one() -> None:
    def runs(**given: Any) -> bool:
        return STATES["server.running"].holds(Facts(servers=[a_view()]), given)

    assert runs()
    assert runs(quant_policy=4, engine="turbomind", model="M")
    assert not runs(quant_policy=8)
    assert not runs(cache_max_entry_count_below=0.5)
    assert runs(cache_max_entry_count_below=0.9)
    assert STATES["server.measured"].holds(Facts(servers=[a_view()], measured=frozenset({"s1"})), {})
    assert not STATES["server.started"].holds(Facts(servers=[a_view()], begun_at=2000.0), {})
    assert STATES["server.started"].holds(Facts(servers=[a_view()], begun_at=1000.0), {})
    assert not STATES["environment.found"].holds(Facts(), {})


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("14", 14),
        ("14,4", 14.4),
        (" 14.4 GiB", 14.4),
        ("2,048 tokens", 2048),
        ("4×", 4),
        (3.5, 3.5),
        ("1,234,567", 1234567),
    ],
)
def test_a_prediction_is_read(typed: object, number: float) -> None:
    assert read_prediction(typed) == number


@pytest.mark.parametrize(
    "typed", ["", None, "many", "-3", "nan", "inf", "1e9", "14 GiB or so", "٣", "1.2.3", [], "9" * 40]
)
def test_what_is_no_number_is_said(typed: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_prediction(typed)
    assert caught.value.messages[0].key == "lab.lesson.no_number"


class World:
    """A shelf, and what is true at the moment."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.facts = Facts()
        self.did: set[str] = set()
        self.folder = folder
        self.store = Store(folder)
        catalog = Catalog((DEMO.parent,))
        self.planner = Planner(catalog.find, lambda: ())
        self.lessons = self.again()

    def again(self) -> Lessons:
        def facts(visitor: str, did: frozenset[str], begun_at: float) -> Facts:
            return Facts(self.facts.servers, did=did, begun_at=begun_at, measured=self.facts.measured)

        circle = {"o1": "operator", "o2": "operator"}
        return Lessons(
            self.store, self.folder / "lessons", facts, self.planner, lambda: str(DEMO),
            lambda visitor: circle.get(visitor, visitor), lambda: self.now,
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


def test_every_shipped_lesson_is_sound_and_every_prediction_can_be_held_against_something(world: World) -> None:
    shelf = world.lessons.shelf()
    assert shelf.problems == ()
    assert [lesson.id for lesson in shelf.lessons] == [
        "environment", "first-model", "memory-arithmetic", "cache-ratio", "kv-int4", "w4a16", "all-combined",
        "api-and-curl", "python-client", "tools", "pictures",
    ]  # fmt: skip
    for lesson in shelf.lessons:
        for step in lesson.steps:
            assert re.search("[一-鿿]", step.text.zh), (lesson.id, step.id)
            if step.kind == "predict":
                assert world.lessons.figure(step) > 0
            elif step.kind == "check" and ("quant_policy" in step.given or "model_format" in step.given):
                assert step.replay, (lesson.id, step.id)  # what no laptop can do
    times = next(step for step in shelf.get("kv-int4").steps if step.id == "times")
    assert 2 < world.lessons.figure(times) <= 4
    arithmetic = {
        step.id: world.lessons.figure(step) for step in shelf.get("memory-arithmetic").steps if step.kind == "predict"
    }
    assert arithmetic["weights-16"] == pytest.approx(14.4, abs=0.05)
    assert (arithmetic["cache"], arithmetic["total"]) == pytest.approx((8.0, 23.0))


def test_every_control_that_a_lesson_marks_is_on_the_page(world: World) -> None:
    page = "\n".join(
        path.read_text(encoding="utf-8") for folder in ("ui/tabs", "ui/page") for path in (ROOT / folder).rglob("*.py")
    )
    for lesson in world.lessons.shelf().lessons:
        for step in lesson.steps:
            area, _, name = step.control.partition("-")
            assert not step.control or step.control in page or f'part("{area}", "{name}"' in page or (
                f'"{name}"' in page
            ), step.control  # fmt: skip


def test_the_readme_names_every_state_and_figure() -> None:
    text = (SHELF / "README.md").read_text(encoding="utf-8")
    for name in (*STATES, *FIGURES, *(one for state in STATES.values() for one in state.takes)):
        assert f"`{name}`" in text, name
    example = re.search(r"```\n(---.*?)```", text, re.DOTALL)
    assert example is not None
    assert lesson_of(example[1]).id == "my-lesson"


def test_a_step_is_ticked_off_by_the_real_state_and_stays(world: World) -> None:
    world.lessons.add(GOOD.encode(), "mine.md")
    _, way = world.lessons.look("o1", "mine")
    assert way.done == {}
    world.now += 5
    world.facts = Facts(servers=[a_view()])
    _, way = world.lessons.look("o2", "mine")  # another browser of the operator's
    assert way.done == {"run": Done(1005.0, "seen")}
    world.facts = Facts()
    assert world.lessons.look("o1", "mine")[1].done.keys() == {"run"}
    assert world.lessons.way("guest", "mine") is None
    done = world.lessons.predict("o1", "mine", "guess", "0,93 GiB")
    assert is_close(done.said or 0, done.true or 0)
    assert world.lessons.predict("o1", "mine", "guess", "5").said == 5.0  # another try
    world.lessons.read("o1", "mine", "look")
    with pytest.raises(InvalidInput):
        world.lessons.replay("o1", "mine", "run")  # it has none
    with pytest.raises(NotFound):
        world.lessons.read("o1", "mine", "run")  # what is checked isn't ticked off by hand
    world.store.settle()
    later = world.again()
    assert later.way("o2", "mine") == world.lessons.way("o1", "mine")
    assert later.begin("o1", "mine", anew=True).done == {}
    later.remove("mine")
    with pytest.raises(NotFound):
        later.shelf().get("mine")
    with pytest.raises(NotFound):
        later.remove("environment")


def test_what_a_visitor_did_before_the_lesson_does_not_count(world: World) -> None:
    world.lessons.note("guest", "chat", "tool")
    world.now += 10
    _, way = world.lessons.look("guest", "tools")
    assert way.done == {}
    world.now += 10
    world.lessons.note("guest", "chat", "tool")
    assert set(world.lessons.look("guest", "tools")[1].done) == {"call"}
    assert world.lessons.way("other", "tools") is None


def test_a_teachers_file_never_takes_the_place_of_the_consoles_own(world: World) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.lessons.add(GOOD.replace("id: mine", "id: tools").encode(), "x.md")
    assert caught.value.messages[0].key == "lab.lesson.file.same"
    (world.folder / "lessons").mkdir()
    (world.folder / "lessons" / "broken.md").write_bytes(b"\xff\xfe")
    (world.folder / "lessons" / "mine.md").write_text(GOOD, encoding="utf-8")
    shelf = world.lessons.shelf()
    assert [message.params["name"] for message in shelf.problems] == ["broken.md"]
    assert shelf.get("mine").own


def test_the_report_holds_the_way_and_no_secret(world: World) -> None:
    key = "lm-page-class-" + "f" * 32 + "-" + "a" * 40
    world.lessons.add(GOOD.encode(), "mine.md")
    world.lessons.predict("guest", "mine", "guess", "4")
    world.lessons.names.give("guest", "Li <b>Lei</b>")
    world.lessons.write("guest", "mine", f"I learned | <img src=x onerror=alert(1)> much.\nMy key is {key}")
    world.lessons.write("other", "mine", "what somebody else wrote")
    measured = reports.Measured(
        "demo", "turbomind", "kv int4", "Card", {"weights": GIB, "kv": 2 * GIB}, {"weights": GIB, "kv": 3 * GIB},
        4 * GIB, 1234, 55.5, 80.0,
    )  # fmt: skip
    lesson, way = world.lessons.look("guest", "mine")
    report = reports.Report(
        lesson, way, world.lessons.name("guest"), ["one Card"], [measured], world.lessons.replays, world.now
    )

    def say(key: str, /, **values: Any) -> str:
        return f"{key} {json.dumps(values)}"

    page = reports.as_html(report, "en", say)
    files = [page, reports.as_markdown(report, "zh", say), reports.as_json(report, "en")]
    for text in files:
        assert key not in text
        assert "f" * 32 not in text
        assert "somebody else" not in text
    assert not re.search(r"<(?:script|img|b>Lei)|https?://|@import|url\(", page)
    assert "&lt;img src=x" in page
    assert page.count("<rect") == 8
    assert json.loads(files[2])["steps"][1] == {
        "id": "guess", "kind": "predict", "text": "How many GiB?", "done": True, "at": "1970-01-01 00:16 UTC",
        "how": PREDICTED, "said": 4.0, "true": pytest.approx(0.931, abs=0.001),
    }  # fmt: skip
    assert "lab.lesson.off" in page
    assert "\\<img" in files[1]


def test_config_fields_that_states_ask_for_exist() -> None:
    config = ServeConfig("turbomind", "m")
    for name in STATES["server.running"].takes - {"cache_max_entry_count_below"}:
        assert hasattr(config, name)
