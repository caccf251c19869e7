"""What a server's log says: how far it has loaded, and why it died. Pure.

The patterns were taken from real logs (tests/logs): LMDeploy 0.18.0's two engines and `transformers serve` 5.23.0.
"""

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from backend.errors import Message, Value

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# tqdm: "Loading:  29%|██▉ | 7/24 [00:00<…"; sizes have a unit ("1.2G/4.8G").
BAR = re.compile(r"(?P<label>[^:|]{0,80}):\s+(?P<percent>\d{1,3})%\|.*?\|\s*(?P<done>[\d.]+)\w?/(?P<total>[\d.]+)\w?")
BEFORE = re.compile(r"^.*\|\s*\d+/\d+ \[[^\]]*\](?=.)")
EXCEPTION = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Killed)\b.*")
FATAL = re.compile(r"\[TM\]\[FATAL\](?:\[[^\]]*\])*\s*(?P<cause>.*)")
BARS = (
    ("Fetching", "engines.stage.download"),
    ("Download", "engines.stage.download"),
    ("Warming up", "engines.stage.warm-up"),
    ("Loading", "engines.stage.weights"),
    ("Materializing", "engines.stage.weights"),
)
MARKS = (
    ("Uvicorn running on", "engines.stage.ready"),
    ("slab_size", "engines.stage.warm-up"),
)
START = "engines.stage.start"
READY = "engines.stage.ready"
MOST_LINES = 3
LONGEST_LINE = 400


@dataclass(frozen=True)
class Diagnosis:
    """Why a server ended, with the remedy, and the log lines that say so (at most a few, as shown on a terminal)."""

    message: Message
    lines: tuple[str, ...]


# Most telling first: an error often drags others behind it.
REASONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (f"engines.died.{name}", re.compile(pattern))
    for name, pattern in (
        ("picture-dtype", r"pixel_value\.dtype\(\) == d\.batch_input\.dtype\(\)"),
        ("kv-misaligned", r"CUDA error: misaligned address"),
        ("memory-kv", r"No enough gpu memory for kv cache"),
        (
            "memory",
            r"CUDA error: out of memory|OutOfMemoryError|CUDA out of memory|CUDA error: CUDA_ERROR_OUT_OF_MEMORY",
        ),
        ("port", r"\[Errno 98\]|address already in use"),
        ("port-denied", r"\[Errno 13\] error while attempting to bind"),
        ("driver", r"NVIDIA driver on your system is too old|CUDA driver version is insufficient"),
        ("no-gpu", r"No CUDA GPUs are available|no CUDA-capable device|Found no NVIDIA driver"),
        ("path", r"Repo id must be in the form|is not a local folder and is not a valid model identifier"),
        ("offline", r"OfflineModeIsEnabled|LocalEntryNotFoundError|[Cc]ouldn't connect to 'https?://"),
        ("trust", r"'dict' object has no attribute 'hidden_size'|trust_remote_code=True|contains custom code"),
        ("tokenizer", r"Couldn't instantiate the backend tokenizer|Tokenizer class (?P<cause>\w+) does not exist"),
        ("gptqmodel", r"[Rr]equires? gptqmodel|pip install gptqmodel|gptqmodel`? (?:is|package)"),
        ("module", r"packages that were not found in your environment: (?P<cause>[\w-]+)"),
        ("module", r"ModuleNotFoundError: No module named '(?P<cause>[^']+)'"),
        ("library", r"ImportError: (?P<cause>lib[^:\s]+): cannot open shared object file"),
        ("disk", r"No space left on device"),
        ("bfloat16", r"does not support bfloat16"),
        (
            "arguments",
            r"^(?:lmdeploy|usage|Error|error).*?(?:error: |: )(?P<cause>(?:unrecognized|argument |No such option).*)",
        ),
        ("weights", r"SafetensorError.*|safetensors_rust\.\w+.*"),
        ("architecture", r"model type `?(?P<cause>\w+)`? but Transformers does not recognize this architecture"),
    )
)


def clean(text: str) -> list[str]:
    """The log's lines without colours; every state of a line that was rewritten is a line of its own."""
    lines = re.split(r"[\r\n]+", ANSI.sub("", text))
    return [line.rstrip() for line in lines if line.strip()]


def load_progress(engine: str, text: str) -> tuple[str, float | None]:
    """How far the server has loaded: a key of ui/locales, and 0…1 where the log counts; ("", None) for no log.

    ``text`` is the log's end, carriage returns and all. Loading weights and warming up count apart, and a vision model
    counts its two towers apart: the fraction goes back to 0 between them.
    """
    if engine == "external":
        return "", None
    for line in reversed(clean(text)):
        if key := next((key for mark, key in MARKS if mark in line), ""):
            return key, 1.0 if key == READY else None
        bars = list(BAR.finditer(line))
        if bars and (key := next((key for word, key in BARS if word in bars[-1]["label"]), "")):
            return key, _fraction(bars[-1])
    return (START, None) if text.strip() else ("", None)


def diagnose(text: str, exit_code: int | None) -> Diagnosis:
    """Why the server ended. ``text`` is the log's end; ``exit_code`` is negative for a signal, None where unknown."""
    lines = clean(text)
    for key, pattern in REASONS:
        if found := [(line, match) for line in lines if (match := pattern.search(line))]:
            match = found[-1][1]
            key = _more_precise(key, lines)
            cause = match.groupdict().get("cause") or ""
            return Diagnosis(Message(key, {"cause": cause}), _shown(line for line, _ in found))
    if fatal := [(line, match) for line in lines if (match := FATAL.search(line))]:
        cause = fatal[-1][1]["cause"] or fatal[-1][0]
        return Diagnosis(Message("engines.died.error", {"cause": cause[:LONGEST_LINE]}), _shown(x for x, _ in fatal))
    number = _signal(exit_code)
    if number and number != signal.SIGABRT:
        key = "engines.died.killed" if number == signal.SIGKILL else "engines.died.signal"
        params: dict[str, Value] = {"signal": _signal_name(number), "code": exit_code or 0}
        return Diagnosis(Message(key, params), _shown(lines[-MOST_LINES:]))
    if errors := [line for line in lines if EXCEPTION.match(line)]:
        return Diagnosis(Message("engines.died.error", {"cause": errors[-1][:LONGEST_LINE]}), _shown(errors))
    if exit_code is None:
        return Diagnosis(Message("engines.died.unknown"), _shown(lines[-MOST_LINES:]))
    return Diagnosis(Message("engines.died.exit", {"code": exit_code}), _shown(lines[-MOST_LINES:]))


def _fraction(bar: re.Match[str]) -> float:
    """What the bar counts; its percent where it counts in units (1000M/1G)."""
    done, total = bar["done"], bar["total"]
    if done.isdigit() and total.isdigit() and 0 < int(total) >= int(done):
        return int(done) / int(total)
    return min(int(bar["percent"]), 100) / 100


def _more_precise(key: str, lines: list[str]) -> str:
    """Out of memory while the weights were loading, or later."""
    if key != "engines.died.memory":
        return key
    loading = [bar for line in lines for bar in BAR.finditer(line) if "Loading" in bar["label"]]
    unfinished = bool(loading) and _fraction(loading[-1]) < 1
    reached = any("slab_size" in line or "Uvicorn running" in line for line in lines)
    return "engines.died.memory-weights" if unfinished and not reached else key


def _signal(exit_code: int | None) -> int:
    """The signal behind an exit code (a shell's 128 + n too), 0 for none."""
    if exit_code is None:
        return 0
    number = -exit_code if exit_code < 0 else exit_code - 128
    return number if 0 < number < signal.NSIG else 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _shown(lines: Iterable[str]) -> tuple[str, ...]:
    """The last few, each once, without the progress bar that a line was written behind."""
    shown = [(BEFORE.sub("", line).strip() or line.strip())[:LONGEST_LINE] for line in lines]
    return tuple(dict.fromkeys(shown))[-MOST_LINES:]
