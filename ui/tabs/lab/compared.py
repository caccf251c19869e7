"""A benchmark's servers side by side, as the page shows it and as files: answers, figures, the tutorials' table."""

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from backend.errors import ConsoleError, NotFound
from backend.lab.benchmark.compared import answers, summary_of, table
from backend.lab.benchmark.record import Benchmark, Target
from backend.lab.export import markdown_line, safe_cell
from backend.lab.row import RunRow
from backend.services import Services
from backend.units import GIB
from ui.i18n import Language, say, t

FIGURES = ("right", "scored", "same", "agreement", "hits", "perplexity", "tokens_per_s", "bytes")
TABLE = (
    "planned_bytes", "measured_bytes", "claim_bytes", "planned_tokens", "tokens", "tokens_times", "claim_tokens_times",
    "speed", "speed_many", "speed_times", "speed_many_times", "claim_speed_times", "perplexity", "right", "agreement",
)  # fmt: skip


def compared_json(services: Services, one: Benchmark, language: Language) -> dict[str, Any]:
    """``servers`` (name, ``problem``, figures, ``bytes`` that it held), ``answers`` a question, ``table``."""

    def row_of(server_id: str) -> RunRow | None:
        with suppress(NotFound):
            return services.lab.runs.get(server_id)
        return None

    servers = []
    for place, target in enumerate(one.targets):
        if target.skipped is not None:
            continue
        row = row_of(target.server) if target.server else None
        held = None if row is None else row.measured_bytes or row.host_bytes
        figures = summary_of(one, place) if target.quality is not None else None
        problems = target.quality.get("problems", {}) if target.quality else {}
        name = line_name(target, language) if target.line else target.name
        servers.append({"name": name, "bytes": held, "figures": figures, "problems": problems})
    lines = None
    if one.config.table:
        lines = table(one, row_of, _parameters(services, one.config.table))
        for line, target in zip(lines, one.targets, strict=True):
            line["name"] = line_name(target, language)
            line["skipped"] = None if target.skipped is None else say(target.skipped, language)
            line["problem"] = None if target.problem is None else say(target.problem, language)
    return {"servers": servers, "answers": answers(one) if one.config.has_quality else [], "table": lines}


def line_name(target: Target, language: Language) -> str:
    """What a line of the tutorials' table stands for; the CPU engine has no cache ratio."""
    return t(f"lab.table.line.{'cpu' if target.engine == 'transformers' else target.line}", language)


def _parameters(services: Services, model: str) -> int:
    try:
        return services.catalog.find(model).parameters
    except ConsoleError:  # it is gone
        return 0


def quality_csv(value: Mapping[str, Any], language: Language) -> str:
    """``compared_json`` as CSV: the table, a line a server, a line an answer; sizes in bytes."""
    out = io.StringIO()
    writer = csv.writer(out)
    if value["table"]:
        writer.writerow(["line", *TABLE])
        writer.writerows([safe_cell(line["name"]), *_of_line(line)] for line in value["table"])
        writer.writerow([])
    writer.writerow(["server", *FIGURES])
    for server in value["servers"]:
        writer.writerow([safe_cell(server["name"]), *("" if cell is None else cell for cell in _of_server(server))])
    writer.writerow([])
    writer.writerow(["question", "server", "right", "differs", "answer"])
    for row in value["answers"]:
        for server, answer in zip(value["servers"], row["answers"], strict=True):
            if answer is not None:
                text = safe_cell(answer["same"] + answer["rest"])
                mark = "" if answer["right"] is None else answer["right"]
                writer.writerow([safe_cell(row["text"]), safe_cell(server["name"]), mark, answer["differs"], text])
    return out.getvalue()


def quality_markdown(value: Mapping[str, Any], language: Language) -> str:
    """``compared_json`` as tables."""
    lines: list[str] = []
    if value["table"]:
        lines += _table(["", *(t(f"lab.table.head.{name}", language) for name in TABLE)])
        lines += [markdown_line([line["name"], *map(_read, TABLE, _of_line(line))]) for line in value["table"]]
        lines.append("")
    lines += _table(["", *(t(f"lab.quality.head.{name}", language) for name in FIGURES)])
    for server in value["servers"]:
        lines.append(markdown_line([server["name"], *map(_read, FIGURES, _of_server(server))]))
    if value["answers"]:
        lines += ["", *_table([t("lab.quality.question", language), *(server["name"] for server in value["servers"])])]
    for row in value["answers"]:
        cells = ["–" if one is None else _marked(one) for one in row["answers"]]
        lines.append(markdown_line([row["text"], *cells]))
    return "\n".join(lines) + "\n"


def _marked(answer: Mapping[str, Any]) -> str:
    """An answer with a sign where the first difference is."""
    mark = {True: "✓ ", False: "✗ ", None: ""}[answer["right"]]
    return f"{mark}{answer['same']}{'⟦≠⟧' if answer['differs'] else ''}{answer['rest']}"


def _table(heads: Sequence[str]) -> list[str]:
    return [markdown_line(heads), markdown_line(["---"] * len(heads))]


def _of_server(server: Mapping[str, Any]) -> list[Any]:
    figures = server["figures"] or {}
    return [server["bytes"] if name == "bytes" else figures.get(name) for name in FIGURES]


def _of_line(line: Mapping[str, Any]) -> list[Any]:
    claim = {f"claim_{name}": value for name, value in line["claim"].items()}
    return [{**line, **claim}.get(name) for name in TABLE]


def _read(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name.endswith("bytes"):
        return f"{value / GIB:.2f} GiB"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
