"""A checkpoint on disk, read from config.json and the safetensors headers without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import Message


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as its header says: ``dtype`` is safetensors' name (BF16, F16, I32, …), ``size_bytes`` the exact bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True)
class ModelInfo:
    """What a model folder holds. ``problem`` is set for a broken folder, and what could be read stands beside it.

    ``path`` is the folder as it was found (symlinks kept), ``name`` the folder's or the hub repository's name.
    ``quantization`` is "" or the method's name in config.json ("awq", "gptq", "fp8" …). ``context_length`` in tokens.
    ``text`` is the text model's part of config.json (the whole of it for a text-only model). ``head_dim`` 0 = unknown.
    """

    path: Path
    name: str
    architecture: str
    text_architecture: str
    parameters: int
    dtype: str
    quantization: str
    group_size: int
    size_bytes: int
    context_length: int
    takes_images: bool
    needs_remote_code: bool
    head_dim: int
    config: Mapping[str, Any]
    text: Mapping[str, Any]
    problem: Message | None = None
