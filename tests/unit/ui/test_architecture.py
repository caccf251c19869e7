"""The rules of the house: layers, side effects of imports, what the console's process never imports."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "transformers", "lmdeploy", "datasets"}
# Run in processes of their own, in environments that have them: no part of the console's process.
CHILDREN = ("backend/engines/children/", "backend/quantization/children/")


def modules(folder: str) -> list[Path]:
    found = [path for path in sorted((ROOT / folder).rglob("*.py")) if not is_child(path)]
    assert found
    return found


def is_child(path: Path) -> bool:
    return str(path.relative_to(ROOT)).startswith(CHILDREN)


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def offenders(folder: str, forbidden: set[str], *, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(folder)
        if str(path.relative_to(ROOT)) not in but
        for name in imports(path)
        if any(name == other or name.startswith(f"{other}.") for other in forbidden)
    ]


def test_backend_knows_no_page() -> None:
    assert not offenders("backend", {"gradio", "ui", "app", "starlette", "fastapi"})


def test_ui_starts_nothing_and_reads_no_gpu() -> None:
    assert not offenders("ui", {"subprocess", "multiprocessing", "pynvml", "app", "os.system", "os.popen"})


def test_one_gate_to_nvml() -> None:
    assert not offenders("backend", {"pynvml"}, but=("backend/memory/nvml.py",))


def test_nobody_imports_the_heavy_ones() -> None:
    assert not offenders("backend", HEAVY)
    assert not offenders("ui", HEAVY)


@pytest.mark.parametrize("folder", ["backend", "ui"])
def test_no_shell(folder: str) -> None:
    """No ``shell=True``, ``os.system``, ``os.popen``: nothing that a person typed reaches a shell."""
    for path in modules(folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                assert node.attr not in {"system", "popen"}, path


CENSUS = """
import importlib, json, os, sys, threading
before = set(os.environ.items())
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps({
    "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
    "heavy": sorted(set(sys.modules) & {"torch", "transformers", "lmdeploy", "datasets"}),
    "files": sorted(os.listdir(".")),
}))
"""


def test_importing_a_module_does_nothing(tmp_path: Path) -> None:
    """All modules together: no thread, no file, nothing written, none of the heavy ones."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("backend", "ui")
        for path in modules(folder)
    ]
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CENSUS, json.dumps([*names, "app"])],
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(here), "GRADIO_ANALYTICS_ENABLED": "False"},
        cwd=here, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"threads": [], "heavy": [], "files": []}


def test_small_modules() -> None:
    """A file beyond some 400 lines asks for a second look; none is beyond 600."""
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for folder in ("backend", "ui")
        for path in modules(folder)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 600
    ]
    assert not long
