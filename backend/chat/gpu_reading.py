"""What the model reads when it looks at the GPU: the newest sample in words. Pure."""

from backend.memory.readings import GpuSample, Sample
from backend.units import GIB

NONE = "This machine has no GPU that can be read."


def gpu_text(sample: Sample | None) -> str:
    """A line for each GPU."""
    if sample is None or not sample.gpus:
        return NONE
    return "\n".join(_line(number, gpu) for number, gpu in enumerate(sample.gpus))


def _line(number: int, gpu: GpuSample) -> str:
    one = gpu.reading
    if one.problem:
        return f"GPU {number}: {one.name}: {one.problem}"
    parts = [f"GPU {number}: {one.name}"]
    if one.used_bytes is not None and one.total_bytes is not None:
        share = round(100 * one.used_bytes / max(one.total_bytes, 1))
        parts.append(f"{one.used_bytes / GIB:.2f} of {one.total_bytes / GIB:.2f} GiB used ({share}%)")
    if one.free_bytes is not None:
        parts.append(f"{one.free_bytes / GIB:.2f} GiB free")
    if one.utilization_percent is not None:
        parts.append(f"load {one.utilization_percent}%")
    if one.temperature_celsius is not None:
        parts.append(f"{one.temperature_celsius} °C")
    if one.power_watts is not None:
        parts.append(f"{one.power_watts:.0f} W")
    return ", ".join(parts)
