"""The tutorials' table on a real GPU, for the shapes of InternLM2.5-1.8B and 7B. Weights of zeros but for one word:
memory, tokens and speed are real, answers mean nothing.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s tests/gpu/test_lab.py``; some
eight minutes. The tables are printed as Markdown.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend.lab.benchmark.record import UNFINISHED, Benchmark, BenchmarkConfig, JobState
from backend.lab.tutorials import LINES
from backend.servers.transitions import ENDED
from backend.services import Services, build_services
from backend.settings import Settings
from tests.gpu.models import servable, speaking
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B
from tests.support.waiting import wait_for
from ui.tabs.lab.compared import compared_json, quality_markdown

SHAPES = {"internlm2_5-1_8b-chat": INTERNLM2_5_1_8B, "internlm2_5-7b-chat": INTERNLM2_5_7B}
TABLE_SECONDS = 900.0
PLAN_OFF = 0.05  # of the memory measured; tests/gpu/test_memory.py says more
SECONDS = 10


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The console's parts, as app.py builds them, with both models in 16 and in 4 bits."""
    folder = tmp_path_factory.mktemp("console")
    settings = Settings("127.0.0.1", 0, True, folder / "state", (folder / "models",), (), "en", "", False)
    for path in (settings.state_dir, settings.runs_dir, settings.keys_dir, settings.uploads_dir, folder / "models"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        speaking(servable(folder / "models" / name, shape))
        speaking(servable(folder / "models" / f"{name}-w4a16-4bit", shape, awq=True))
    made = build_services(settings)
    try:
        yield made
    finally:
        for view in made.servers.snapshot():
            if view.state not in ENDED:
                made.servers.stop(view.id)
                wait_for("the server to end", partial(is_ended, made, view.id), 60)
        made.close()


def is_ended(services: Services, server: str) -> bool:
    """Whether the server is gone."""
    return services.servers.get(server).state in ENDED


def measured(services: Services, model: Path) -> Benchmark:
    """The table of that model, to its end."""
    config = BenchmarkConfig(
        table=str(model), users=(1, 32), answer_tokens=128, seconds=SECONDS, questions="en", reply_tokens=32
    )
    targets, _, asked = services.lab.benchmarks.look(config)
    assert [target.skipped for target in targets] == [None] * len(LINES)
    assert asked == ()
    benchmark_id = services.lab.benchmarks.start(config)

    def over() -> bool:
        alive = [view for view in services.servers.snapshot() if view.state not in ENDED]
        assert len(alive) <= 1, "one server after another"
        return services.lab.benchmarks.get(benchmark_id).state not in UNFINISHED

    wait_for("the table", over, TABLE_SECONDS)
    return services.lab.benchmarks.get(benchmark_id)


@pytest.mark.parametrize("name", SHAPES)
def test_the_tutorials_table(services: Services, name: str) -> None:
    model = next(one.path for one in services.catalog.models() if one.name == name)
    done = measured(services, model)
    assert done.state is JobState.SUCCEEDED, [target.problem for target in done.targets]
    services.lab.recorder.look()
    compared = compared_json(services, done, "en")
    print(
        f"\n{name}, {services.finder.machine().gpus[0].name}\n\n{quality_markdown({**compared, 'answers': []}, 'en')}"
    )
    lines: dict[str, dict[str, Any]] = {line["line"]: line for line in compared["table"]}
    assert set(lines) == {line.id for line in LINES}
    for line in lines.values():
        assert line["problem"] is None
        assert line["measured_bytes"] == pytest.approx(line["planned_bytes"], rel=PLAN_OFF)
        assert line["tokens"] == pytest.approx(line["planned_tokens"], rel=PLAN_OFF)
        assert line["speed_many"] > line["speed"] > 0
        # Weights of zeros hold every token alike: the perplexity is the size of the vocabulary.
        assert line["perplexity"] == pytest.approx(SHAPES[name][-1], rel=0.02)
    # An int4 cache: nearly four times the tokens in as much memory; less memory by the ratio, not by the bits.
    for line_id in ("kv4", "all"):
        assert 3.3 < lines[line_id]["tokens_times"] <= 4.0
        assert lines[line_id]["measured_bytes"] < lines["plain"]["measured_bytes"]
    assert lines["w4a16"]["tokens_times"] == pytest.approx(1.0, rel=0.05)
    # The cache takes what the weights gave up.
    assert lines["w4a16"]["tokens"] > lines["plain"]["tokens"]
    assert lines["w4a16"]["weights_bytes"] < 0.9 * lines["plain"]["weights_bytes"]
    # Kept with each run.
    for target in done.targets:
        row = services.lab.runs.get(target.server)
        assert row.perplexity is not None
        assert row.detail["quality"]["questions"] == "en"
