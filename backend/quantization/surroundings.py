"""Looks at the machine for a job: the output's place, the disk, the GPU, the data. The impure side of checks."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.machine.machine import Machine
from backend.quantization import calibration_sets, checks
from backend.quantization.base import GpuUser, QuantConfig, Surroundings

OCCUPIED = frozenset({"file", "not-empty", "partial"})  # words of Surroundings.output: another name would do
GpuUsers = Callable[[str], Sequence[GpuUser]]


def look(config: QuantConfig, machine: Machine, users: GpuUsers, tokens: int | None, *, network: bool) -> Surroundings:
    """What the checks need to know. ``network`` allows to ask the hub for a dataset that isn't in the cache, which
    takes up to calibration_sets.TIMEOUT_S; without it that stays unknown."""
    output = checks.output_path(config) if config.output.strip() and "\0" not in config.output else None
    gpu = next((gpu for gpu in machine.gpus if gpu.id == config.gpu), None)
    dataset = None
    if checks.downloads(config):
        if network:
            dataset = calibration_sets.availability(config.dataset, config.mirror)
        elif calibration_sets.is_cached(config.dataset):
            dataset = "cached"
    return Surroundings(
        output="" if output is None else in_the_way(output, config.method),
        free_disk_bytes=None if output is None else free_disk_bytes(output),
        free_gpu_bytes=gpu.free_bytes if gpu else None,
        users=tuple(users(config.gpu)) if config.gpu else (),
        tokens=tokens,
        dataset=dataset,
    )


def in_the_way(output: Path, method: str) -> str:
    """Why nothing can be written there, in a word of Surroundings.output; "" where it can."""
    parent = output.parent
    try:
        if os.path.lexists(output) and (not output.is_dir() or output.is_symlink()):
            return "file"
        if output.is_dir() and any(output.iterdir()):
            return "not-empty"
        if os.path.lexists(checks.partial_folder(output, method)):
            return "partial"
        # One new folder above it is made with it; more is rather a typing error.
        existing = parent if parent.is_dir() else parent.parent
        if not existing.is_dir() or (existing != parent and os.path.lexists(parent)):
            return "no-parent"
        return "" if os.access(existing, os.W_OK | os.X_OK) else "not-writable"
    except OSError:
        return "not-writable"


def free_disk_bytes(output: Path) -> int | None:
    """The space where the output will stand; None where its folder isn't there."""
    try:
        existing = output.parent if output.parent.is_dir() else output.parent.parent
        return shutil.disk_usage(existing).free
    except OSError:
        return None
