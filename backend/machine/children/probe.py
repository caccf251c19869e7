"""Prints what a Python has, as one line of JSON: versions, and the CUDA that torch and TurboMind were built for.

Nothing is imported: versions come from the packages' metadata, torch's CUDA from torch/version.py, TurboMind's from the
libraries its extension is linked to (``libcudart.so.12`` → 12).
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from typing import IO

PACKAGES = ("lmdeploy", "transformers", "torch")
OPTIONAL = ("ray", "peft")  # several GPUs and LoRA adapters of the PyTorch engine want them


def version(name: str) -> str:
    """The installed version, "" where the package is absent."""
    from importlib import metadata

    try:
        return metadata.version(name) or ""
    except metadata.PackageNotFoundError:
        return ""


def package_folder(name: str) -> str:
    """The folder of a package, "" where it isn't one. Finding a top-level package doesn't import it."""
    from importlib import util

    try:
        spec = util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    return os.path.dirname(spec.origin) if spec is not None and spec.origin else ""


def torch_cuda() -> str:
    """``cuda`` of torch/version.py: "12.1"; "" for a CPU build or no torch."""
    path = os.path.join(package_folder("torch"), "version.py")
    try:
        with open(path, encoding="utf-8") as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == "cuda" for target in targets):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            return value if isinstance(value, str) else ""
    return ""


def turbomind_cuda() -> str:
    """The CUDA that TurboMind's extension is linked to; "" without TurboMind or where CUDA is linked in."""
    folder = package_folder("lmdeploy")
    for inner in ("turbomind", "lib") if folder else ():
        try:
            names = sorted(os.listdir(os.path.join(folder, inner)))
        except OSError:
            continue
        for name in names:
            if "turbomind" in name and name.endswith(".so"):
                with open(os.path.join(folder, inner, name), "rb") as stream:
                    linked = linked_cuda(stream)
                if linked:
                    return linked
    return ""


def linked_cuda(stream: IO[bytes], block: int = 1 << 22) -> str:
    """The number in the first ``libcudart.so.N`` of a file, read block by block: the extension is hundreds of MB."""
    tail = b""
    while True:
        data = stream.read(block)
        if not data:
            return ""
        match = re.search(rb"libcud(?:art|a_runtime)\.so\.(\d+(?:\.\d+)?)\0", tail + data)
        if match:
            return match.group(1).decode()
        tail = data[-64:]


if __name__ == "__main__":
    del sys.path[0]
    found: dict[str, str | float] = {name: version(name) for name in PACKAGES}
    found["lacking"] = " ".join(name for name in OPTIONAL if not version(name))
    found["torch_cuda"] = torch_cuda()
    found["turbomind_cuda"] = turbomind_cuda()
    found["python"] = ".".join(map(str, sys.version_info[:3]))
    found["executable"] = sys.executable
    lmdeploy = os.path.join(package_folder("lmdeploy"), "version.py")
    found["modified"] = os.path.getmtime(lmdeploy) if os.path.exists(lmdeploy) else 0.0
    print(json.dumps(found))
