"""What the page makes of plans and samples: sentences in both languages, the figure, rows, CSV."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.host import HostReading
from backend.machine.machine import Gpu
from backend.machine.nvml import GpuReading
from backend.memory.readings import CacheUse, GpuSample, Sample
from backend.memory_plan.planner import Planned, Planner
from backend.models.checkpoint import read_model
from backend.units import GIB
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, llama
from ui.i18n import LANGUAGES, Language
from ui.tabs.deploy.plan_html import empty_html, kv_html, plan_html, sentence, steps_html
from ui.tabs.vram.csv_file import samples_csv
from ui.tabs.vram.figure import HOST, Row, figure
from ui.tabs.vram.routes import MOST_POINTS, step_of
from ui.tabs.vram.rows import Wire

CONFIGS = (
    ServeConfig("turbomind", "m"),
    ServeConfig("turbomind", "m", quant_policy=4, tp=2),
    ServeConfig("turbomind", "m", cache_max_entry_count=1.0),
    ServeConfig("pytorch", "m", cache_max_entry_count=0.05),
    ServeConfig("transformers", "m"),
)


class Outline(HTMLParser):
    """Elements by id with their attributes, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: dict[str, dict[str, str | None]] = {}
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        values = dict(attrs)
        if values.get("id"):
            self.ids[str(values["id"])] = values

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    folder = llama(tmp_path / "m", INTERNLM2_5_1_8B)
    return Planner(lambda text: read_model(folder), lambda: (Gpu("0", "u", "NVIDIA H200", 24 * GIB, 23 * GIB),))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.engine)
def test_a_plan_in_words(planner: Planner, config: ServeConfig, language: Language) -> None:
    planned = planner.plan(config, "24")
    outline = Outline(plan_html(planned, language) + steps_html(planned, language) + kv_html(planned, language))
    shown = outline.ids["deploy-plan"]
    assert shown["data-verdict"] == planned.plan.verdict
    assert shown["data-total-bytes"] == str(planned.plan.total_bytes)
    assert shown["data-kv-bytes"] == str(planned.plan.kv_bytes)
    assert shown["data-tokens"] == str(planned.plan.tokens)
    assert shown["data-weights-bytes"] == str(planned.plan.weights_bytes)
    assert shown["data-work-bytes"] == str(planned.plan.work_bytes)
    assert not outline.open
    assert "{" not in outline.text
    assert len(planned.plan.steps) >= 4
    assert all(sentence(step, language) in outline.text for step in planned.plan.steps)


def test_names_are_escaped(planner: Planner) -> None:
    message = Message("plan.bad-card", {"value": "<img src=x onerror=alert(1)>"})
    assert "<img" not in empty_html([message], "en")


def test_the_kv_boxes_are_of_one_size_and_hold_their_tokens(planner: Planner) -> None:
    planned: Planned = planner.plan(ServeConfig("turbomind", "m"), "24")
    html = kv_html(planned, "en")
    at_16, at_4 = (int(html.split(f'data-bits="{bits}" data-tokens="')[1].split('"')[0]) for bits in (16, 4))
    assert 3.7 < at_4 / at_16 < 3.8  # 128 × 2 bytes against 128 ÷ 2 + 4


def test_the_figure_is_one_that_plotly_takes() -> None:
    rows = [
        Row(0, "GPU 0 · <b>card</b>", 24 * GIB, (0, 3), frozenset({0})),
        Row(1, "GPU 1", 80 * GIB, (3,), frozenset()),
    ]
    made = figure(rows, {0: "a %{x}", 3: "b"}, "en")
    go.Figure(made)  # validates every name and value
    metas = [trace["meta"] for trace in made["data"]]
    assert [meta["kind"] for meta in metas] == [
        "others",
        "share",
        "cache",
        "share",
        "utilization",
        "others",
        "share",
        "utilization",
    ]
    assert "<b>" not in made["layout"]["annotations"][0]["text"]
    assert sum(trace["showlegend"] for trace in made["data"]) == 5  # every name once
    go.Figure(figure([Row(HOST, "machine", 16 * GIB, (0,), utilization=False)], {0: "a"}, "zh"))
    go.Figure(figure([], {}, "en"))


def sample(number: int = 1, used: int | None = 20 * GIB) -> Sample:
    gpu = GpuReading("0", "u", "H200", 140 * GIB, used, 120 * GIB, 97, 612.4, 61)
    shares = {f"server-{n}": 3 * GIB + n for n in range(5)}
    caches = {f"server-{n}": CacheUse(0.4567, 12, 3, 2345.6, 2 * GIB) for n in range(5)}
    host = HostReading(128 * GIB, 77 * GIB, limited=False)
    return Sample(number, 123456.78, host, (GpuSample(gpu, shares, 5 * GIB),), dict.fromkeys(shares, 2 * GIB), caches)


def test_an_update_with_five_servers_is_small() -> None:
    answer = {"n": 36000, "o": 1763725000.1, "e": 123, "r": [Wire().row(sample())]}
    assert len(json.dumps(answer, separators=(",", ":"))) <= 300


def test_what_cannot_be_read_stays_absent_on_the_way() -> None:
    row = Wire().row(sample(used=None))
    assert row[2][0][0] is None


def test_a_row_is_made_once() -> None:
    wire = Wire()
    assert wire.row(sample(7)) is wire.row(sample(7))


def test_csv_for_a_spreadsheet() -> None:
    text = samples_csv([sample(1), sample(2, used=None)], 1_700_000_000.0, lambda owner: f"={owner}")
    header, first, second = csv.reader(io.StringIO(text))
    found = dict(zip(header, first, strict=True))
    assert found["gpu0_used_bytes"] == str(20 * GIB)
    assert found["gpu0_=server-1_bytes"] == str(3 * GIB + 1)
    assert found["time"].startswith("2023-")
    assert "'=server-0_kv_cache_usage" in header  # no formula
    assert dict(zip(header, second, strict=True))["gpu0_used_bytes"] == ""


def test_no_line_has_more_points_than_a_screen() -> None:
    for window in (60, 300, 900, 3600):
        assert window / max(1.0, step_of(window)) <= MOST_POINTS
    assert step_of(300) == 0
    assert step_of(86400) == 60
