"""How many tokens a calibration text has, counted by the model's own tokenizer in a child."""

import json
import threading
from concurrent.futures import Future
from pathlib import Path

from backend.errors import InvalidInput, Message
from backend.machine.child import NoAnswer, ask
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo
from backend.quantization.texts import KeptText

CHILD = Path(__file__).parent / "children" / "count_tokens.py"
DEADLINE_S = 120.0

Key = tuple[str, float, str, str, bool]


class TokenCounter:
    """Counts, and remembers. Safe to call from any thread: what the page counts, a start at that moment waits for."""

    def __init__(self) -> None:
        self._known: dict[Key, int] = {}
        self._under_way: dict[Key, Future[int]] = {}
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
        with self._lock:
            if key in self._known:
                return self._known[key]
            running = self._under_way.get(key)
            mine = self._under_way.setdefault(key, Future())
        if running is not None:
            return running.result()
        try:
            tokens = _ask(model, text, environment, trust)
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self._known[key] = tokens
            del self._under_way[key]
        mine.set_result(tokens)
        return tokens


def _ask(model: ModelInfo, text: KeptText, environment: Environment, trust: bool) -> int:
    arguments = [str(model.path), str(text.file), *(["--trust-remote-code"] if trust else [])]
    try:
        answer = ask(environment.python, CHILD, *arguments, deadline_s=DEADLINE_S).strip()
        return int(json.loads(answer.splitlines()[-1])["tokens"])
    except (NoAnswer, ValueError, IndexError, KeyError, TypeError) as error:
        params = {"model": model.name, "error": str(error)}
        raise InvalidInput(Message("quantize.text.no-tokens", params, "model")) from error


def _key(model: ModelInfo, text: KeptText, environment: Environment, trust: bool) -> Key:
    files = (model.path / name for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"))
    changed = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    return (str(model.path), changed, f"{text.folder}:{text.characters}", environment.id, trust)
