"""What the child is told, and what it wrote: children/load.py's files."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.errors import Message
from backend.lab.benchmark.record import BenchmarkConfig, Target
from backend.lab.quality.questions import questions_of, text_of
from backend.processes.supervisor import Run
from backend.servers.manager import Endpoint

LMDEPLOY = ("turbomind", "pytorch")
PICTURE = Path(__file__).parents[3] / "assets" / "sample_pictures" / "two_shapes.png"


def plan_of(config: BenchmarkConfig, target: Target, endpoint: Endpoint, proxy: str) -> dict[str, Any]:
    """The child's plan, but for ``key_file`` and ``out``."""
    asked = questions_of(config.questions, config.question)
    quality = {
        "questions": [{"id": one.id, "text": one.text} for one in asked],
        "answer_tokens": config.reply_tokens,
        "text": text_of(config.questions, config.text),
    }
    return {
        "base_url": endpoint.base_url,
        "model": endpoint.model_id,
        "proxy": proxy,
        "levels": config.users,
        "prompt_tokens": config.prompt_tokens,
        "answer_tokens": config.answer_tokens,
        "seconds": config.seconds,
        "lmdeploy": target.engine in LMDEPLOY,
        "picture": _picture() if config.picture else "",
        "quality": quality if asked else None,
    }


def read_measured(file: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def problem_of(result: Mapping[str, Any], name: str, run: Run | None) -> Message | None:
    """Why it ended before its time; None where it didn't."""
    stopped = result.get("stopped")
    if stopped:
        kind = "dead" if stopped.get("why") == "dead" else "errors"
        said = str(stopped.get("text", ""))[:300]
        return Message(f"lab.benchmark.stopped.{kind}", {"name": name, "text": said})
    if result.get("done"):
        return None
    if run is not None and run.interrupted:
        return Message("lab.benchmark.stopped.interrupted", {"name": name})
    code = "?" if run is None or run.exit_code is None else str(run.exit_code)
    return Message("lab.benchmark.stopped.child", {"name": name, "code": code})


def _picture() -> str:
    return "data:image/png;base64," + base64.b64encode(PICTURE.read_bytes()).decode()
