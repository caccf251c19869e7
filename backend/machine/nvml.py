"""The one gate to NVML: the only module that imports pynvml (the package nvidia-ml-py).

A reading that isn't supported or not permitted is None, never zero and never an exception. A card that fails or is
lost says so in its own reading and hides no other. Without a driver everything is empty; one that comes later is found.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.machine.machine import Gpu

RETRY_SECONDS = 5.0
# After these the handles are worth nothing any more: NVML is to be started again.
_FATAL = ("NVML_ERROR_UNINITIALIZED", "NVML_ERROR_DRIVER_NOT_LOADED", "NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_UNKNOWN")
_GPUS_FOLDER = "/proc/driver/nvidia/gpus"


@dataclass(frozen=True)
class ProcessMemory:
    """One process on one GPU. ``used_bytes`` is None where the driver doesn't say (not permitted, WDDM)."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True)
class GpuReading:
    """One GPU (or MIG device) at one moment: bytes, percent, watts, degrees Celsius; None where it can't be read.

    ``used_bytes`` leaves out what the driver reserves, as nvidia-smi does. ``processes`` is None where they can't be
    listed. ``problem`` is "" or NVML's own words for why the card fails. ``compute`` is its compute
    capability, 0 = unknown.
    """

    id: str
    uuid: str
    name: str
    total_bytes: int | None = None
    used_bytes: int | None = None
    free_bytes: int | None = None
    utilization_percent: int | None = None
    power_watts: float | None = None
    temperature_celsius: int | None = None
    processes: tuple[ProcessMemory, ...] | None = None
    virtual: bool = False
    problem: str = ""
    compute: float = 0.0


@dataclass
class _Device:
    """A device found at the last start of NVML; ``handle`` is None for one that couldn't be opened."""

    id: str
    uuid: str
    name: str
    handle: Any
    virtual: bool = False
    problem: str = ""
    compute: float = 0.0


class Nvml:
    """NVML behind one lock, started at the first question. ``library`` stands in for the module pynvml in tests."""

    def __init__(self, library: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._lock = threading.RLock()
        self._devices: list[_Device] = []
        self._known: dict[str, _Device] = {}  # by id, to name a card that is lost
        self._started = False
        self._broken = False  # a card was lost: NVML is to be started again
        self._tried_at: float | None = None
        self._folder: tuple[str, ...] = ()
        self._problem = ""

    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs and MIG devices that answer, in NVML's order; () without a driver."""
        return tuple(
            Gpu(r.id, r.uuid, r.name, r.total_bytes, r.free_bytes, r.compute)
            for r in self.readings(processes=False)
            if r.total_bytes is not None
        )

    def readings(self, processes: bool = True) -> tuple[GpuReading, ...]:
        """Every GPU now, those that fail included."""
        with self._lock:
            if not self._start():
                return ()
            readings = tuple(self._read(device, processes) for device in self._devices)
            self._broken = any(device.problem for device in self._devices)
            return readings

    def driver_version(self) -> str:
        """Such as "580.95.05"; "" without a driver."""
        with self._lock:
            return str(self._ask("nvmlSystemGetDriverVersion") or "") if self._start() else ""

    def cuda_version(self) -> str:
        """The newest CUDA that the driver supports, such as "13.0"; "" without a driver."""
        with self._lock:
            number = self._ask("nvmlSystemGetCudaDriverVersion") if self._start() else None
            return f"{number // 1000}.{number % 1000 // 10}" if number else ""

    def problem(self) -> str:
        """Why NVML gives nothing, in its own words ("Driver Not Loaded"); "" while it works."""
        with self._lock:
            return "" if self._start() else self._problem

    def close(self) -> None:
        """Lets NVML go; the next question starts it again."""
        with self._lock:
            self._stop()
            self._tried_at = None

    def _start(self) -> bool:
        """Starts NVML where it isn't, and again when cards come, go or are lost; tries at most every RETRY_SECONDS."""
        if self._started and not self._broken and _gpu_folder() == self._folder:
            return True
        now = self._clock()
        if self._tried_at is not None and 0 <= now - self._tried_at < RETRY_SECONDS:
            return self._started  # until then the cards that answer are read on
        self._tried_at = now
        self._stop()
        try:
            if self._library is None:
                import pynvml

                self._library = pynvml
            self._library.nvmlInit()
        except ImportError:
            self._problem = "nvidia-ml-py is not installed"
            return False
        except self._library.NVMLError as error:
            self._problem = str(error)
            return False
        self._started = True
        self._broken = False
        self._problem = ""
        self._folder = _gpu_folder()
        self._devices = self._find()
        for device in self._devices:
            if device.handle is not None:
                self._known[device.id] = device
        return True

    def _stop(self) -> None:
        if self._started:
            self._started = False
            self._ask("nvmlShutdown")

    def _find(self) -> list[_Device]:
        devices = []
        for index in range(self._ask("nvmlDeviceGetCount") or 0):
            try:
                handle = self._library.nvmlDeviceGetHandleByIndex(index)
            except self._library.NVMLError as error:
                gpu = self._known.get(str(index))
                name, uuid = (gpu.name, gpu.uuid) if gpu else (f"GPU {index}", f"gpu-{index}")
                devices.append(_Device(str(index), uuid, name, None, problem=str(error)))
                continue
            mig = self._mig_devices(handle)
            devices += mig if mig else [self._device(handle, str(index))]
        return devices

    def _device(self, handle: Any, cuda_id: str) -> _Device:
        uuid = str(self._ask("nvmlDeviceGetUUID", handle) or f"gpu-{cuda_id}")
        name = str(self._ask("nvmlDeviceGetName", handle) or f"GPU {cuda_id}")
        mode = self._ask("nvmlDeviceGetVirtualizationMode", handle)
        virtual = mode is not None and mode == getattr(self._library, "NVML_GPU_VIRTUALIZATION_MODE_VGPU", 2)
        major, minor = self._ask("nvmlDeviceGetCudaComputeCapability", handle) or (0, 0)
        return _Device(cuda_id or uuid, uuid, name, handle, virtual, compute=major + minor / 10)

    def _mig_devices(self, parent: Any) -> list[_Device]:
        """A card cut with MIG shows its devices instead of itself; CUDA takes them by UUID."""
        mode = self._ask("nvmlDeviceGetMigMode", parent)
        if not mode or mode[0] != 1:
            return []
        handles = [
            self._ask("nvmlDeviceGetMigDeviceHandleByIndex", parent, index)
            for index in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", parent) or 0)
        ]
        return [self._device(handle, "") for handle in handles if handle is not None]

    def _read(self, device: _Device, processes: bool) -> GpuReading:
        if device.handle is None:
            return GpuReading(device.id, device.uuid, device.name, problem=device.problem)
        try:
            memory = self._memory(device.handle)
        except self._library.NVMLError as error:
            if getattr(error, "value", None) in self._fatal():
                device.problem = str(error)
            return GpuReading(device.id, device.uuid, device.name, problem=str(error))
        utilization = self._ask("nvmlDeviceGetUtilizationRates", device.handle)
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", device.handle)
        return GpuReading(
            id=device.id,
            uuid=device.uuid,
            name=device.name,
            total_bytes=int(memory.total),
            used_bytes=int(memory.used),
            free_bytes=int(memory.free),
            utilization_percent=None if utilization is None else int(utilization.gpu),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            temperature_celsius=self._ask("nvmlDeviceGetTemperature", device.handle, 0),
            processes=self._processes(device.handle) if processes else None,
            virtual=device.virtual,
            compute=device.compute,
        )

    def _memory(self, handle: Any) -> Any:
        """Version 2 tells what the driver reserves apart from what is used; older drivers have only version 1."""
        version = getattr(self._library, "nvmlMemory_v2", None)
        if version is not None:
            memory = self._ask("nvmlDeviceGetMemoryInfo", handle, version)
            if memory is not None:
                return memory
        return self._library.nvmlDeviceGetMemoryInfo(handle)

    def _processes(self, handle: Any) -> tuple[ProcessMemory, ...] | None:
        """Compute and graphics processes, each once."""
        lists = [
            self._ask("nvmlDeviceGetComputeRunningProcesses", handle),
            self._ask("nvmlDeviceGetGraphicsRunningProcesses", handle),
        ]
        if all(found is None for found in lists):
            return None
        used: dict[int, int | None] = {}
        for process in (p for found in lists for p in found or ()):
            used[process.pid] = max(used.get(process.pid) or 0, process.usedGpuMemory or 0) or None
        return tuple(ProcessMemory(pid, used_bytes) for pid, used_bytes in sorted(used.items()))

    def _fatal(self) -> set[int]:
        return {getattr(self._library, name, -1) for name in _FATAL}

    def _ask(self, name: str, *args: Any) -> Any:
        """One NVML call; None for any failure, an old driver without that function included."""
        try:
            return getattr(self._library, name)(*args)
        except (self._library.NVMLError, AttributeError):
            return None


def _gpu_folder() -> tuple[str, ...]:
    """The cards that the driver has now: cheap to look at, and NVML itself sees a new card only when started again."""
    try:
        return tuple(sorted(os.listdir(_GPUS_FOLDER)))
    except OSError:
        return ()
