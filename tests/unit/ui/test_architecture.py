"""The rules of the house: layers, side effects of imports, what the console's process never imports."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ui.tabs import TABS

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "transformers", "lmdeploy", "datasets"}
# Run in processes of their own, in environments that have them: no part of the console's process.
CHILDREN = tuple(f"backend/{room}/children/" for room in ("downloads", "engines", "lab", "machine", "quantization"))


def modules(folder: str) -> list[Path]:
    found = [path for path in sorted((ROOT / folder).rglob("*.py")) if not is_child(path)]
    assert found
    return found


def is_child(path: Path) -> bool:
    return str(path.relative_to(ROOT)).startswith(CHILDREN)


@cache
def parsed(path: Path) -> ast.Module:
    """The file's code; parsed once for all the rules."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, inside functions too."""
    for node in ast.walk(parsed(path)):
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


def test_backend_knows_no_control() -> None:
    """A message names the settings' field; each tab knows its control."""
    control = re.compile(r"[\"'](?:deploy|quantize|chat|vram|lab|header)-[a-z-]+[\"']")
    kinds = {'"quantize-compare"', '"quantize-perplexity"'}  # of processes, in the store
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("backend")
        for name in control.findall(path.read_text(encoding="utf-8"))
        if name not in kinds
    ]
    assert found == []


def test_ui_starts_nothing_and_reads_no_gpu() -> None:
    assert not offenders("ui", {"subprocess", "multiprocessing", "pynvml", "app", "os.system", "os.popen"})


def test_one_gate_to_nvml() -> None:
    assert not offenders("backend", {"pynvml"}, but=("backend/machine/nvml.py",))


def test_nobody_imports_the_heavy_ones() -> None:
    assert not offenders("backend", HEAVY)
    assert not offenders("ui", HEAVY)


GRADIO_GATE = "ui/gradio_compat/"
# What Gradio's own objects are made of, and no documented part of it.
INSIDES = {
    "blocks", "fns", "state_holder", "has_launched", "is_running", "state_session_capacity", "session_data", "limiter",
    "process_api", "preprocess_data", "default_config", "upload_file_set", "temp_file_sets", "user_middleware",
    "pending_messages_per_session", "max_threads", "custom_mount_path", "get_config_file", "footer_links",
}  # fmt: skip


def test_one_place_relies_on_gradios_insides() -> None:
    """No other module of ui/ takes from Gradio what it doesn't document, or a private part of anything, or changes a
    library's parts."""
    offending = []
    for path in modules("ui"):
        name = str(path.relative_to(ROOT))
        if name.startswith(GRADIO_GATE):
            continue
        offending += [f"{name} imports {found}" for found in imports(path) if found.startswith("gradio.")]
        tree = parsed(path)
        offending += [f"{name}:{line} {what}" for line, what in gradio_insides(tree)]
    assert not offending, "\n".join(offending)


def gradio_insides(tree: ast.AST) -> Iterator[tuple[int, str]]:
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if ast.unparse(base).startswith("gr."):
                    yield node.lineno, f"a class made from {ast.unparse(base)}"
        if isinstance(node, ast.Attribute):
            of = ast.unparse(node.value)
            if of.split(".")[0] == "gr" and isinstance(node.ctx, ast.Store):
                yield node.lineno, f"changes {of}.{node.attr}"
            elif (of.startswith("gr.") and node.attr.startswith("_")) or (node.attr in INSIDES and of != "self"):
                yield node.lineno, f"takes {of}.{node.attr}"
            elif re.match("_[a-z]", node.attr) and of not in {"self", "cls", *own}:
                yield node.lineno, f"takes the private {of}.{node.attr}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
            yield node.lineno, "setattr"


def test_the_rule_sees_what_it_forbids() -> None:
    taken = {
        "blocks._queue.sleep_when_free = 1", "page.has_launched = True", "gr.Blocks.queue = mine", "x.blocks.values()",
        "class A(gr.Blocks): pass", "setattr(gr, 'a', 1)", "gr.utils._private", "services._lock",
    }  # fmt: skip
    assert {code for code in taken if not list(gradio_insides(ast.parse(code)))} == set()
    for code in ("self._lock", "gr.Blocks()", "services.chat.view", "gr.Error('x')"):
        assert list(gradio_insides(ast.parse(code))) == []


@pytest.mark.parametrize("folder", ["backend", "ui"])
def test_no_shell(folder: str) -> None:
    """No ``shell=True``, ``os.system``, ``os.popen``: nothing that a person typed reaches a shell."""
    for path in modules(folder):
        for node in ast.walk(parsed(path)):
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


def scripts() -> list[Path]:
    found = sorted((ROOT / "ui").rglob("*.js"))
    assert found
    return found


def test_no_globals() -> None:
    """Scripts meet by imports alone. What others leave on the page is read by ``Reflect.get``, with its type."""
    sets = r"\b(?:window|globalThis|self)(?:\.\w+|\[[^\]]+\])\s*=(?!=)|Reflect\.set\((?:window|globalThis|self)"
    loose = re.compile(rf"{sets}|\bwindow\.(?!location\b)\w+")
    found = [f"{path.name}: {match[0]}" for path in scripts() for match in loose.finditer(path.read_text())]
    assert found == []
    # What Python writes into the page: js= strings and js_on_load.
    assert [
        path.name for path in (ROOT / "ui").rglob("*.py") if re.search(r"window\.lm|\blm[A-Z]\w*\.", path.read_text())
    ] == []


def test_every_tab_has_the_same_files() -> None:
    """The same name for the same role. A role that a tab hasn't has no file."""
    for tab in TABS:
        folder = ROOT / "ui" / "tabs" / tab.name
        for name in (f"{tab.name}.js", f"{tab.name}.css", "form.py", "binding.py", "routes.py", "texts.json"):
            assert (folder / name).is_file(), f"{tab.name} has no {name}"
