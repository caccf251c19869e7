"""Gradio without its type stubs: what fails here is what an upgrade of Gradio has changed."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ui.gradio_compat.imports import MODULE, STEP

ROOT = Path(__file__).parents[4]
ASK = f"""
import json, os, sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
before = list(sys.meta_path)
from ui.gradio_compat.imports import import_gradio
import_gradio()
import gradio
from {MODULE} import {STEP}, ComponentMeta
import_gradio()
print(json.dumps({{
    "step": {STEP}.__module__,
    "stubs": [path for path in opened if path.endswith(".pyi")],
    "same": sys.meta_path == before,
    "works": [type(gradio.HTML) is ComponentMeta, gradio.Textbox(value="a").value, callable(gradio.Button.click)],
}}))
"""


def test_no_stub_is_read_or_written() -> None:
    """Gradio still has the step, nothing calls what it was, and nothing of the import's own stays."""
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {"step": "ui.gradio_compat.imports", "stubs": [], "same": True, "works": [True, "a", True]}
    found = find_spec("gradio")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).with_name("component_meta.py").read_text(encoding="utf-8")
    assert len(re.findall(rf"\b{STEP}\(", source)) == 2  # it is made, and called
