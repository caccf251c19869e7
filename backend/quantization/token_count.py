"""How many tokens a calibration text has, counted by the model's own tokenizer in a child."""

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from backend.engines.base import Environment
from backend.errors import InvalidInput, Message
from backend.models.checkpoint import ModelInfo
from backend.quantization.texts import KeptText

CHILD = Path(__file__).parent / "children" / "count_tokens.py"
DEADLINE_S = 120.0

Key = tuple[str, float, str, str, bool]


class TokenCounter:
    """Counts, and remembers. Safe to call from any thread."""

    def __init__(self) -> None:
        self._known: dict[Key, int] = {}
        self._lock = threading.Lock()

    def known(self, model: ModelInfo, text: KeptText, environment: Environment, trust: bool) -> int | None:
        """The count if it was made before."""
        with self._lock:
            return self._known.get(_key(model, text, environment, trust))

    def count(self, model: ModelInfo, text: KeptText, environment: Environment, trust: bool) -> int:
        """The tokens of the text (of its first two million characters). Takes seconds the first time.

        Raises InvalidInput where the tokenizer can't be loaded, with its own words.
        """
        key = _key(model, text, environment, trust)
        known = self.known(model, text, environment, trust)
        if known is not None:
            return known
        argv = [str(environment.python), str(CHILD), str(model.path), str(text.file)]
        out, err, code = _run(argv + (["--trust-remote-code"] if trust else []))
        try:
            tokens = int(json.loads(out.strip().splitlines()[-1])["tokens"])
        except (ValueError, IndexError, KeyError, TypeError):
            lines = [line for line in err.splitlines() if line.strip()]
            params = {"model": model.name, "error": lines[-1].strip() if lines else f"exit code {code}"}
            raise InvalidInput(Message("quantize.text.no-tokens", params, "quantize-model")) from None
        with self._lock:
            self._known[key] = tokens
        return tokens


def _key(model: ModelInfo, text: KeptText, environment: Environment, trust: bool) -> Key:
    files = (model.path / name for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"))
    changed = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    return (str(model.path), changed, f"{text.folder}:{text.characters}", environment.id, trust)


def _run(argv: list[str]) -> tuple[str, str, int | None]:
    """Output, errors and exit code (None: it took too long and was ended)."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
        return out, err, process.returncode
    except subprocess.TimeoutExpired:
        return "", f"no answer in {DEADLINE_S:.0f} s", None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
