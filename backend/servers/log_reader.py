"""What a server's log says: how far it has loaded, and why it died. Pure.

The patterns were taken from real logs (tests/logs): LMDeploy 0.18.0's two engines and `transformers serve` 5.23.0.
"""

import re
import signal
from collections.abc import Iterable

from backend.causes.evidence import BEFORE, EXCEPTION, FATAL, clean
from backend.causes.signatures import SIGNATURES
from backend.causes.verdict import Finding, find
from backend.diagnosis import Diagnosis
from backend.errors import Message, Value

__all__ = ("EXCEPTION", "FATAL", "REASONS", "clean", "diagnose", "load_progress")

# tqdm: "Loading:  29%|██▉ | 7/24 [00:00<…"; sizes have a unit ("1.2G/4.8G").
BAR = re.compile(
    r"(?P<label>[^:|]{0,80}):\s+(?P<percent>\d{1,3})%\|[^|]{0,400}\|\s*(?P<done>[\d.]+)\w?/(?P<total>[\d.]+)\w?"
)
BARS = (
    ("Fetching", "engines.stage.download"),
    ("Download", "engines.stage.download"),
    ("Warming up", "engines.stage.warm-up"),
    ("Loading", "engines.stage.weights"),
    ("Materializing", "engines.stage.weights"),
    ("Convert to turbomind format", "engines.stage.weights"),
)
MARKS = (
    ("Uvicorn running on", "engines.stage.ready"),
    ("slab_size", "engines.stage.warm-up"),
)
START = "engines.stage.start"
READY = "engines.stage.ready"
MOST_LINES = 3
# Signals that a process gets from a person or a program, and never by a fault of its own.
FROM_OUTSIDE = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGUSR1,
                          signal.SIGUSR2})  # fmt: skip
LONGEST_LINE = 400


# By their keys in ui/locales, most telling first.
REASONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (f"engines.died.{signature.name}", signature.pattern) for signature in SIGNATURES
)


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
    number = _signal(exit_code)
    found = find(lines, signalled=number not in (0, signal.SIGABRT))
    if isinstance(found, Finding):
        key = _more_precise(f"engines.died.{found.name}", lines)
        return Diagnosis(Message(key, {"cause": found.cause[:LONGEST_LINE]}), _shown(found.lines))
    if number == signal.SIGBUS:
        return Diagnosis(Message("engines.died.shm", {"cause": ""}), _shown(lines[-MOST_LINES:]))
    if number and number != signal.SIGABRT:
        key = "engines.died.ended" if number in FROM_OUTSIDE else "engines.died.signal"
        if number == signal.SIGKILL:
            key = "engines.died.killed"
        params: dict[str, Value] = {"signal": _signal_name(number), "code": exit_code or 0}
        return Diagnosis(Message(key, params), _shown(lines[-MOST_LINES:]))
    if found.said:
        fatal = FATAL.search(found.said)
        said = (fatal["cause"] if fatal else "") or found.said
        return Diagnosis(Message("engines.died.error", {"cause": said[:LONGEST_LINE]}), _shown(found.lines))
    if found.silent:
        return Diagnosis(Message("engines.died.silent"), _shown(found.lines))
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
