"""Planned against measured, and what later plans learn from it."""

from pathlib import Path

import pytest

from backend.engines.base import ServeConfig
from backend.machine.host import HostReading
from backend.machine.machine import Gpu
from backend.machine.nvml import GpuReading
from backend.memory.load_log import LoadFacts
from backend.memory.readings import GpuSample, Owner, Reading, Sample
from backend.memory_plan.formulas import TURBOMIND_CONTEXT
from backend.memory_plan.model_shape import ModelShape, read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.planner import Planner, parse_card
from backend.memory_plan.reconcile import Measurements, Reconciler, learn, measure
from backend.memory_plan.values import Card
from backend.models.checkpoint import read_model, read_tensors
from backend.servers.server import ServerState, ServerView
from backend.store import Store
from backend.units import GIB
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, llama

H200 = "NVIDIA H200"
CARD = Card(H200, 24 * GIB, 24 * GIB)
CONFIG = ServeConfig("turbomind", "m", cache_max_entry_count=0.4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return llama(tmp_path / "internlm2_5-1_8b", INTERNLM2_5_1_8B)


@pytest.fixture
def shape(folder: Path) -> ModelShape:
    return read_shape(read_model(folder), read_tensors(folder))


def test_with_the_log_every_part_is_known(shape: ModelShape) -> None:
    made = plan(shape, CONFIG, CARD)
    facts = LoadFacts(True, True, round(19.5 * GIB), round(7.8 * GIB), 134217728, 6291456, 21)
    found = measure(made, facts, round(13.1 * GIB))
    assert found.from_log
    assert found.kv_bytes == round(7.8 * GIB)
    assert (found.weights_bytes + found.context_bytes) / GIB == pytest.approx(4.5)
    assert found.work_bytes / GIB == pytest.approx(0.8)
    assert found.total_bytes == round(13.1 * GIB)
    assert found.tokens == facts.tokens()


def test_without_the_log_the_parts_are_worked_out_from_the_total(shape: ModelShape) -> None:
    made = plan(shape, CONFIG, CARD)
    found = measure(made, LoadFacts(), round(13.05 * GIB))  # what was measured for these settings
    assert not found.from_log
    assert found.total_bytes == round(13.05 * GIB)
    assert found.context_bytes / GIB == pytest.approx(0.93, abs=0.05)
    assert found.kv_bytes / GIB == pytest.approx(7.82, abs=0.05)


def test_on_a_slice_the_log_is_believed_and_nvml_only_for_the_total(shape: ModelShape) -> None:
    """NVML sees a card of 80 GiB, CUDA a slice of 24: what was taken before the cache can't be their difference."""
    made = plan(shape, CONFIG, Card("NVIDIA A100", 80 * GIB, 79 * GIB))
    facts = LoadFacts(True, True, round(19.5 * GIB), round(7.8 * GIB))
    found = measure(made, facts, round(13.1 * GIB))
    assert found.kv_bytes == round(7.8 * GIB)
    assert found.total_bytes == round(13.1 * GIB)
    assert found.context_bytes < 2 * GIB


def test_the_median_of_the_newest_starts_is_learned() -> None:
    def record(at: float, context: int, key: str = f"turbomind|{H200}|plain") -> dict[str, object]:
        return {"at": at, "key": key, "context_residual": context, "work_residual": -context}

    records = [record(at, context) for at, context in enumerate((9000, 10, 20, 30, 40, 50))]
    records.append(record(99, 7, f"pytorch|{H200}|plain"))
    found = learn(records, "turbomind", H200, packed=False)
    assert (found.context_bytes, found.work_bytes, found.count) == (30, -30, 5)
    assert learn(records, "turbomind", H200, packed=True).count == 0


class Machine:
    """One GPU and one server, seen by a reconciler."""

    def __init__(self, folder: Path, state_dir: Path) -> None:
        self.measurements = Measurements(Store(state_dir))
        gpu = Gpu("0", "u", H200, 24 * GIB, 24 * GIB)
        self.planner = Planner(lambda text: read_model(folder), lambda: (gpu,), self.measurements.learned)
        self.view = ServerView(
            id="s", name="server", state=ServerState.STARTING, config=CONFIG, model_path=str(folder), model_id="m",
            address="", base_url="", port=0, pid=1, command="", environment="", takes_images=False, context_length=0,
            created_at=0,
        )  # fmt: skip
        self.reconciler = Reconciler(self.measurements, self.planner, lambda: (self.view,), lambda server: LoadFacts())
        self.number = 0

    def see(self, at: float, used_gib: float, state: str | None, others_gib: float = 0) -> None:
        """One reading, the server's state in it (None: not there), what it and what others hold."""
        used, others = round(used_gib * GIB), round(others_gib * GIB)
        gpu = GpuReading("0", "u", H200, 24 * GIB, used + others, 24 * GIB - used - others)
        owners = (Owner("s", "server", "server", state, ("0",)),) if state else ()
        host = HostReading(GIB, 0, limited=False)
        self.number += 1
        sample = Sample(self.number, at, host, (GpuSample(gpu, {"s": used} if state else {}, others),), {}, {})
        self.reconciler.listen(Reading(at, host, (gpu,), owners), sample)


def test_a_start_is_planned_measured_stored_and_learned_from(folder: Path, tmp_path: Path) -> None:
    machine = Machine(folder, tmp_path / "state")
    machine.see(0, 0, None)
    machine.see(1, 0.5, "starting")
    machine.see(2, 14.05, "running")
    assert not machine.measurements.all()
    machine.see(5, 14.05, "running")  # settled: 1 GiB more than measured elsewhere
    [record] = machine.measurements.all().values()
    planned, measured = record["planned"], record["measured"]
    assert planned["context_bytes"] == round(TURBOMIND_CONTEXT)
    assert sum(measured[f"{part}_bytes"] for part in ("weights", "context", "kv", "work")) == round(14.05 * GIB)
    assert record["free_bytes"] == 24 * GIB  # as it was before the start
    later = machine.planner.plan_on(machine.planner.shape("m"), CONFIG, CARD).plan
    assert later.learned == 1
    assert later.ready_bytes / GIB == pytest.approx(14.05, rel=0.01)
    again = Measurements(Store(tmp_path / "state"))
    assert again.all().keys() == {"s"}


@pytest.mark.parametrize("gone_at", [1, 2, 3])
def test_what_another_gives_back_while_it_starts_was_free(folder: Path, tmp_path: Path, gone_at: int) -> None:
    machine = Machine(folder, tmp_path / "state")
    machine.see(0, 0, None, others_gib=15)
    for at, used in ((1, 0), (2, 0.5), (3, 1.5)):
        machine.see(at, used, "starting", others_gib=0 if at >= gone_at else 15)
    for at in (4, 8):
        machine.see(at, 13.05, "running")
    [record] = machine.measurements.all().values()
    assert record["free_bytes"] == 24 * GIB


def test_what_another_gives_back_after_the_weights_was_not(folder: Path, tmp_path: Path) -> None:
    machine = Machine(folder, tmp_path / "state")
    machine.see(0, 0, None, others_gib=10)
    machine.see(1, 0.5, "starting", others_gib=10)
    machine.see(2, 9.0, "starting", others_gib=10)
    for at in (3, 8):
        machine.see(at, 9.0, "running" if at > 3 else "starting")
    machine.see(12, 9.0, "running")
    [record] = machine.measurements.all().values()
    assert record["free_bytes"] == 14 * GIB


def test_a_server_that_was_there_before_is_not_measured(folder: Path, tmp_path: Path) -> None:
    machine = Machine(folder, tmp_path / "state")
    for at in range(5):
        machine.see(at, 13, "running")
    assert not machine.measurements.all()


def test_a_server_that_ends_while_it_starts_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    machine = Machine(folder, tmp_path / "state")
    machine.see(0, 0, None)
    machine.see(1, 0.5, "starting")
    machine.see(2, 0, None)
    machine.see(9, 13, "running")
    assert not machine.measurements.all()


@pytest.mark.parametrize(
    ("text", "size"),
    [("24", 24), ("24 GiB", 24), ("7,5", 7.5), ("80GB", 80), ("24 GiB · slice", 24), ("", None), ("machine", None)],
)
def test_cards_by_name(text: str, size: float | None) -> None:
    assert parse_card(text) == (None if size is None else round(size * GIB))
