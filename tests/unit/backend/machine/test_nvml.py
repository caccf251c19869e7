"""The one gate to NVML, with an NVML that fails in every way."""

import pynvml
import pytest

from backend.machine.nvml import RETRY_SECONDS, Nvml, ProcessMemory
from tests.support.scripted_nvml import GIB, ScriptedGpu, ScriptedNvml


class Clock:
    """A clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_everything_it_reads() -> None:
    gpu = ScriptedGpu(processes=[(11, 3 * GIB)], graphics=[(12, GIB), (11, GIB)])
    nvml = Nvml(ScriptedNvml(gpu))
    [reading] = nvml.readings()
    assert (reading.id, reading.name, reading.problem) == ("0", "NVIDIA H200", "")
    assert (reading.total_bytes, reading.used_bytes, reading.free_bytes) == (24 * GIB, 4 * GIB, 20 * GIB)
    assert (reading.utilization_percent, reading.power_watts, reading.temperature_celsius) == (37, 312.4, 54)
    assert reading.processes == (ProcessMemory(11, 3 * GIB), ProcessMemory(12, GIB))
    assert (nvml.driver_version(), nvml.cuda_version(), nvml.problem()) == ("580.95.05", "13.0", "")


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_without_a_driver_everything_is_empty(code: int) -> None:
    nvml = Nvml(ScriptedNvml(init_error=code))
    assert (nvml.gpus(), nvml.readings(), nvml.driver_version(), nvml.cuda_version()) == ((), (), "", "")
    assert nvml.problem() == str(pynvml.NVMLError(code))


def test_this_machine_whatever_it_has() -> None:
    """The real pynvml: with or without a driver it answers, and doesn't raise."""
    nvml = Nvml()
    assert bool(nvml.problem()) == (nvml.driver_version() == "")
    assert all(gpu.total_bytes > 0 for gpu in nvml.gpus())
    nvml.close()


def test_a_driver_that_comes_later_is_found() -> None:
    clock, library = Clock(), ScriptedNvml(ScriptedGpu(), init_error=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    nvml = Nvml(library, clock)
    assert nvml.gpus() == ()
    library.init_error = None
    assert nvml.gpus() == ()  # not asked again at once
    clock.now += RETRY_SECONDS
    assert len(nvml.gpus()) == 1


def test_what_is_not_permitted_is_absent_not_zero() -> None:
    denied = pynvml.NVML_ERROR_NO_PERMISSION
    gpu = ScriptedGpu(fails=dict.fromkeys(("utilization", "power", "temperature", "processes"), denied))
    [reading] = Nvml(ScriptedNvml(gpu)).readings()
    assert reading.used_bytes == 4 * GIB
    unknown = (reading.utilization_percent, reading.power_watts, reading.temperature_celsius, reading.processes)
    assert unknown == (None,) * 4
    [unsaid] = Nvml(ScriptedNvml(ScriptedGpu(processes=[(5, None)]))).readings()
    assert unsaid.processes == (ProcessMemory(5, None),)


def test_an_old_driver_has_only_the_first_memory_call() -> None:
    library = ScriptedNvml(ScriptedGpu())
    library.old_driver = True
    [reading] = Nvml(library).readings()
    assert reading.used_bytes == 4 * GIB


def test_a_failing_card_hides_no_other() -> None:
    bad = ScriptedGpu("broken", fails={"memory": pynvml.NVML_ERROR_IRQ_ISSUE})
    nvml = Nvml(ScriptedNvml(ScriptedGpu("first"), bad, ScriptedGpu("last")))
    readings = nvml.readings()
    assert [(r.name, bool(r.problem), r.used_bytes is None) for r in readings] == [
        ("first", False, False),
        ("broken", True, True),
        ("last", False, False),
    ]
    assert [gpu.name for gpu in nvml.gpus()] == ["first", "last"]


def test_a_card_lost_in_the_middle_keeps_its_name_and_comes_back() -> None:
    clock, gpu = Clock(), ScriptedGpu("mine")
    library = ScriptedNvml(gpu, ScriptedGpu("other"))
    nvml = Nvml(library, clock)
    uuid = nvml.readings()[0].uuid
    gpu.fails = dict.fromkeys(("memory", "handle"), pynvml.NVML_ERROR_GPU_IS_LOST)
    for _ in range(8):
        lost, other = nvml.readings()
        assert (lost.name, lost.uuid, bool(lost.problem)) == ("mine", uuid, True)
        assert other.used_bytes == 4 * GIB
        clock.now += RETRY_SECONDS / 3
    gpu.fails = {}
    clock.now += RETRY_SECONDS
    assert [r.problem for r in nvml.readings()] == ["", ""]
    assert library.starts >= 2  # a handle from before a loss is worth nothing


def test_mig_devices_stand_for_their_card() -> None:
    slices = [ScriptedGpu("MIG 3g.71gb", total=70 * GIB), ScriptedGpu("MIG 4g.71gb", total=70 * GIB)]
    for one in slices:
        one.fails = dict.fromkeys(("utilization", "power", "temperature"), pynvml.NVML_ERROR_NOT_SUPPORTED)
    nvml = Nvml(ScriptedNvml(ScriptedGpu("whole", mig=slices)))
    gpus = nvml.gpus()
    assert [gpu.name for gpu in gpus] == ["MIG 3g.71gb", "MIG 4g.71gb"]
    assert all(gpu.id == gpu.uuid for gpu in gpus)  # CUDA_VISIBLE_DEVICES takes a MIG device's UUID
    assert nvml.readings()[0].utilization_percent is None


def test_a_virtual_gpu_says_so() -> None:
    library = ScriptedNvml(ScriptedGpu(), virtualization=pynvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU)
    assert Nvml(library).readings()[0].virtual
    assert not Nvml(ScriptedNvml(ScriptedGpu())).readings()[0].virtual
