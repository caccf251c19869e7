"""What a student hands in: one HTML file that opens offline, Markdown, JSON. Pure.

It holds what that student did, predicted and wrote, the machine, and the figures of servers that were started
meanwhile. What looks like a key or a token is left out wherever it stands.
"""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from backend.lab.lessons.figures import FIGURES, is_close
from backend.lab.lessons.lesson import Both, Lesson, Step
from backend.lab.lessons.progress import PREDICTED, REPLAYED, Done, Progress
from backend.units import GIB

Language = Literal["en", "zh"]
Say = Callable[..., str]  # say("lab.report.title", count=3)
_SECRET = re.compile(r"(?:lm-(?:page-)?|sk-|hf_|ghp_|Bearer\s+)[\w.~+/=-]{8,}|token=[\w.~-]{8,}|\b[0-9a-fA-F]{32,}\b")
HIDDEN = "…"
_PARTS = ("weights", "context", "kv", "work")
_HEADS = ("model", "settings", "planned", "measured", "tokens", "speed")
_COLOURS = {"weights": "#0072b2", "context": "#64748b", "kv": "#e69f00", "work": "#cc79a7"}


@dataclass(frozen=True)
class Measured:
    """A server that was started meanwhile; sizes in bytes by part, None = not known."""

    model: str
    engine: str
    settings: str
    gpu: str
    planned: Mapping[str, int]
    measured: Mapping[str, int]
    total_bytes: int | None
    tokens: int | None
    tokens_per_s: float | None
    ttft_ms: float | None


@dataclass(frozen=True)
class Report:
    """What the files are made of. ``machine`` is what it ran on, as lines."""

    lesson: Lesson
    progress: Progress
    name: str
    machine: Sequence[str]
    measured: Sequence[Measured]
    replays: Mapping[str, Mapping[str, Any]]
    made_at: float


def clean(text: str) -> str:
    """Without what looks like a key or a token."""
    return _SECRET.sub(HIDDEN, text)


def as_json(report: Report, language: Language) -> str:
    """Everything, for a program."""
    steps = [
        {"id": step.id, "kind": step.kind, "text": _in(step.text, language), **_done(report.progress.done.get(step.id))}
        for step in report.lesson.steps
    ]
    value = {
        "lesson": report.lesson.id,
        "title": _in(report.lesson.title, language),
        "name": report.name,
        "begun_at": _time(report.progress.begun_at),
        "made_at": _time(report.made_at),
        "done": len([step for step in report.lesson.steps if step.id in report.progress.done]),
        "of": len(report.lesson.steps),
        "machine": list(report.machine),
        "steps": steps,
        "measured": [asdict(one) for one in report.measured],
        "words": report.progress.words,
    }
    return clean(json.dumps(value, indent=1, ensure_ascii=False))


def as_markdown(report: Report, language: Language, say: Say) -> str:
    """For a repository or a forum."""
    lines = [f"# {_md(_in(report.lesson.title, language))}", ""]
    lines += [f"- {_md(line)}" for line in _head(report, say)]
    lines += ["", f"## {say('lab.report.steps')}", ""]
    for step in report.lesson.steps:
        done = report.progress.done.get(step.id)
        mark = "x" if done is not None else " "
        lines.append(f"- [{mark}] {_md(_in(step.text, language))}")
        lines += [f"  - {_md(line)}" for line in _lines(report, step, done, say)]
    if report.measured:
        heads = [
            say(f"lab.report.head.{name}") for name in ("model", "settings", "planned", "measured", "tokens", "speed")
        ]
        lines += ["", f"## {say('lab.report.measured')}", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
        lines += [f"| {' | '.join(_md(cell) for cell in _cells(one))} |" for one in report.measured]
    if report.progress.words.strip():
        lines += ["", f"## {say('lab.report.words')}", "", _md(report.progress.words)]
    return clean("\n".join(lines) + "\n")


def as_html(report: Report, language: Language, say: Say) -> str:
    """One file: no script, nothing from elsewhere; it prints on white paper."""
    e = html.escape
    title = e(_in(report.lesson.title, language))
    head = "".join(f"<li>{e(line)}</li>" for line in _head(report, say))
    steps = "".join(_step_html(report, step, language, say) for step in report.lesson.steps)
    measured = _measured_html(report.measured, say) if report.measured else ""
    words = report.progress.words.strip()
    said = f"<h2>{e(say('lab.report.words'))}</h2><p class=words>{e(words)}</p>" if words else ""
    return clean(
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><ul class=head>{head}</ul><h2>{e(say('lab.report.steps'))}</h2><ol>{steps}</ol>"
        f"{measured}{said}</body></html>\n"
    )


def explanation(step: Step, done: Done, say: Say) -> str:
    """What a prediction was, what the figure is, and how far apart they are."""
    if done.said is None or done.true is None:
        return ""
    unit = FIGURES[step.what].unit if step.what in FIGURES else ""
    values = {"said": figure_text(done.said, unit, say), "true": figure_text(done.true, unit, say)}
    if is_close(done.said, done.true):
        return say("lab.lesson.right", **values)
    percent = abs(done.said - done.true) / abs(done.true) * 100 if done.true else 100.0
    return say("lab.lesson.off", **values, percent=f"{percent:.0f}")


def figure_text(value: float, unit: str, say: Say) -> str:
    """ "14.4 GiB", "65,536 tokens", "4 ×"."""
    number = f"{value:,.0f}" if unit == "tokens" else f"{value:.2f}".rstrip("0").rstrip(".")
    return say(f"lab.lesson.unit.{unit}", value=number) if unit else number


def replay_text(replay: Mapping[str, Any], say: Say) -> str:
    """A recorded run in one sentence, which says that it is one."""
    return say(
        "lab.lesson.replay",
        **{name: str(replay[name]) for name in ("recorded", "machine", "versions", "model", "weights_gib", "used_gib")},
        settings=f"{replay['engine']}, {replay['model_format']}, quant_policy {replay['quant_policy']}, "
        f"cache_max_entry_count {replay['cache_max_entry_count']}",
        seconds=str(replay["ready_s"]),
    )


def _head(report: Report, say: Say) -> list[str]:
    done = len([step for step in report.lesson.steps if step.id in report.progress.done])
    lines = [say("lab.report.by", name=report.name)] if report.name else []
    lines.append(say("lab.report.done", done=done, of=len(report.lesson.steps)))
    lines.append(say("lab.report.when", begun=_time(report.progress.begun_at), made=_time(report.made_at)))
    return [*lines, *report.machine]


def _lines(report: Report, step: Step, done: Done | None, say: Say) -> list[str]:
    """What stands below a step."""
    if done is None:
        return []
    lines = [say(f"lab.report.how.{done.how}", at=_time(done.at))]
    if done.how == PREDICTED:
        lines.append(explanation(step, done, say))
    if done.how == REPLAYED and step.replay in report.replays:
        lines.append(replay_text(report.replays[step.replay], say))
    return lines


def _step_html(report: Report, step: Step, language: Language, say: Say) -> str:
    done = report.progress.done.get(step.id)
    below = "".join(f"<p class=small>{html.escape(line)}</p>" for line in _lines(report, step, done, say))
    mark = "✓" if done is not None else "○"
    return f"<li><p><b>{mark}</b> {html.escape(_in(step.text, language))}</p>{below}</li>"


def _measured_html(measured: Sequence[Measured], say: Say) -> str:
    e = html.escape
    heads = "".join(f"<th>{e(say(f'lab.report.head.{name}'))}</th>" for name in _HEADS)
    rows = "".join("<tr>" + "".join(f"<td>{e(cell)}</td>" for cell in _cells(one)) + "</tr>" for one in measured)
    legend = " ".join(
        f'<span><i style="background:{colour}"></i>{e(say(f"lab.column.{part}_bytes"))}</span>'
        for part, colour in _COLOURS.items()
    )
    bars = "".join(_bars(one, say) for one in measured if one.planned or one.measured)
    figure = f"<p class=legend>{legend}</p>{bars}" if bars else ""
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<h2>{e(say('lab.report.measured'))}</h2>{table}{figure}"


def _bars(one: Measured, say: Say) -> str:
    """Planned above measured, part by part, in one scale."""
    most = max(sum(one.planned.values()), sum(one.measured.values()), 1)
    lines = ""
    for place, (key, parts) in enumerate((("planned", one.planned), ("measured", one.measured))):
        x = 110.0
        name = html.escape(say(f"lab.report.head.{key}"))
        lines += f'<text x="0" y="{place * 26 + 16}" font-size="12">{name}</text>'
        for part in _PARTS:
            width = parts.get(part, 0) / most * 480
            lines += (
                f'<rect x="{x:.1f}" y="{place * 26 + 3}" width="{width:.1f}" height="18" fill="{_COLOURS[part]}">'
                f"<title>{parts.get(part, 0) / GIB:.2f} GiB</title></rect>"
            )
            x += width
    label = html.escape(f"{one.model} {one.settings}")
    return f'<svg viewBox="0 0 600 54" role="img" aria-label="{label}">{lines}</svg>'


def _cells(one: Measured) -> list[str]:
    planned = f"{sum(one.planned.values()) / GIB:.2f} GiB" if one.planned else "–"
    total = f"{one.total_bytes / GIB:.2f} GiB" if one.total_bytes else "–"
    tokens = f"{one.tokens:,}" if one.tokens else "–"
    speed = f"{one.tokens_per_s:.1f}" if one.tokens_per_s else "–"
    settings = " · ".join(filter(None, (one.engine, one.settings, one.gpu)))
    return [one.model, settings, planned, total, tokens, speed]


def _done(done: Done | None) -> dict[str, Any]:
    if done is None:
        return {"done": False}
    return {"done": True, "at": _time(done.at), "how": done.how, "said": done.said, "true": done.true}


def _in(text: Both, language: Language) -> str:
    return text.zh if language == "zh" else text.en


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "–"


def _md(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


_STYLE = """
body{font:15px/1.55 system-ui,"Noto Sans SC","PingFang SC","Microsoft YaHei",sans-serif;max-width:820px;
margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:1.6rem}.head{color:#333;padding-left:1.2rem}
.small{color:#444;font-size:.9rem;margin:.1rem 0 .3rem}li p{margin:.3rem 0}.words{white-space:pre-wrap}
table{border-collapse:collapse;width:100%}
th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;font-size:.9rem}
svg{display:block;width:100%;max-width:640px;margin:.6rem 0}.legend span{margin-right:1rem;font-size:.85rem}
.legend i{display:inline-block;width:10px;height:10px;margin-right:4px}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}li,tr,svg{break-inside:avoid}*{print-color-adjust:exact}}
"""
