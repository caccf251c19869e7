"""An NVML that does as it is told, in the place of the module pynvml: the double at the one gate."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

GIB = 1024**3


@dataclass
class ScriptedGpu:
    """One card. ``fails`` names NVML calls and the error code they answer with."""

    name: str = "NVIDIA H200"
    total: int = 24 * GIB
    used: int = 4 * GIB
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)
    mig: list["ScriptedGpu"] = field(default_factory=list)


class ScriptedNvml:
    """``gpus`` may change between readings; ``init_error`` fails nvmlInit; ``starts`` counts how often it began."""

    NVMLError = pynvml.NVMLError
    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_GPU_VIRTUALIZATION_MODE_VGPU = pynvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU
    NVML_ERROR_UNINITIALIZED = pynvml.NVML_ERROR_UNINITIALIZED
    NVML_ERROR_DRIVER_NOT_LOADED = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    NVML_ERROR_GPU_IS_LOST = pynvml.NVML_ERROR_GPU_IS_LOST
    NVML_ERROR_UNKNOWN = pynvml.NVML_ERROR_UNKNOWN

    def __init__(self, *gpus: ScriptedGpu, init_error: int | None = None, virtualization: int = 0) -> None:
        self.gpus = list(gpus)
        self.init_error = init_error
        self.virtualization = virtualization
        self.old_driver = False  # knows only version 1 of the memory call
        self.starts = 0

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise pynvml.NVMLError(self.init_error)
        self.starts += 1

    def nvmlShutdown(self) -> None:
        pass

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> ScriptedGpu:
        return self._answer(self.gpus[index], "handle")

    def nvmlDeviceGetUUID(self, gpu: ScriptedGpu) -> str:
        return f"GPU-{id(gpu)}"

    def nvmlDeviceGetName(self, gpu: ScriptedGpu) -> str:
        return gpu.name

    def nvmlDeviceGetVirtualizationMode(self, gpu: ScriptedGpu) -> int:
        return self.virtualization

    def nvmlDeviceGetMigMode(self, gpu: ScriptedGpu) -> tuple[int, int]:
        if not gpu.mig:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: ScriptedGpu) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: ScriptedGpu, index: int) -> ScriptedGpu:
        if index >= len(gpu.mig):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return gpu.mig[index]

    def nvmlDeviceGetMemoryInfo(self, gpu: ScriptedGpu, version: int | None = None) -> Any:
        if version is not None and self.old_driver:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        self._answer(gpu, "memory")
        return SimpleNamespace(total=gpu.total, used=gpu.used, free=gpu.total - gpu.used)

    def nvmlDeviceGetUtilizationRates(self, gpu: ScriptedGpu) -> Any:
        self._answer(gpu, "utilization")
        return SimpleNamespace(gpu=37, memory=11)

    def nvmlDeviceGetPowerUsage(self, gpu: ScriptedGpu) -> int:
        self._answer(gpu, "power")
        return 312_400

    def nvmlDeviceGetTemperature(self, gpu: ScriptedGpu, sensor: int) -> int:
        self._answer(gpu, "temperature")
        return 54

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: ScriptedGpu) -> list[Any]:
        self._answer(gpu, "processes")
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in gpu.processes]

    def nvmlDeviceGetGraphicsRunningProcesses(self, gpu: ScriptedGpu) -> list[Any]:
        self._answer(gpu, "processes")
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in gpu.graphics]

    @staticmethod
    def _answer(gpu: ScriptedGpu, call: str) -> ScriptedGpu:
        if call in gpu.fails:
            raise pynvml.NVMLError(gpu.fails[call])
        return gpu
