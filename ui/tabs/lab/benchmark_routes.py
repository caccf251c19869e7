"""Benchmarks: what one would cost, start, cancel, the list with its curves, files. The operator's alone."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message
from backend.lab.benchmark.checks import read_config, read_table
from backend.lab.benchmark.record import Benchmark, BenchmarkConfig, Target
from backend.lab.benchmark.statistics import PERCENTILES, knee
from backend.lab.export import FORMATS, safe_cell
from backend.lab.quality.questions import questions_of
from backend.services import Services
from ui.i18n import Language, say
from ui.tabs.lab.compared import compared_json, quality_csv, quality_markdown
from ui.web.routes import json_route
from ui.web.visitor import language_of, require_operator

FIGURES = (
    "users", "requests", "failed", "tokens_per_s", "requests_per_s", "ttft_ms", "tpot_ms", "kv_usage", "gpu_bytes",
    "watts", "client_limited",
)  # fmt: skip
MEDIA = {"csv": "text/csv", "json": "application/json", "md": "text/markdown"}


def benchmark_routes(services: Services) -> list[BaseRoute]:
    """What is mounted under ``console/``."""
    view = BenchmarkRoutes(services)
    return [
        Route("/lab/benchmarks", json_route(view.listed), methods=["GET"]),
        Route("/lab/benchmarks/cost", json_route(view.cost), methods=["POST"]),
        Route("/lab/benchmarks/start", json_route(view.start), methods=["POST"]),
        Route("/lab/benchmarks/{id}/cancel", json_route(view.cancel), methods=["POST"]),
        Route("/lab/benchmarks/{id}/forget", json_route(view.forget), methods=["POST"]),
        Route("/lab/benchmarks/{id}/compared", json_route(view.compared), methods=["GET"]),
        Route("/lab/tables", json_route(view.tables), methods=["GET"]),
        Route("/lab/benchmarks/{id}/file", json_route(view.file), methods=["GET"]),
    ]


class BenchmarkRoutes:
    """Everything here is the operator's."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._benchmarks = services.lab.benchmarks

    def listed(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Every benchmark, newest first."""
        require_operator(request)
        shown = [benchmark_json(one, language_of(request)) for one in self._benchmarks.all()]
        for one in shown:
            del one["config"]["text"]  # it may be long, and is in the file
        return {"benchmarks": shown}

    def cost(self, request: Request, body: Mapping[str, Any]) -> Any:
        """What it would cost: ``seconds``, its ``targets``' names, what is ``asked`` first."""
        require_operator(request)
        config, language = self._config(request, body), language_of(request)
        targets, seconds, _ = self._benchmarks.look(config)
        return {
            "seconds": seconds,
            "targets": [target.name for target in targets if target.skipped is None],
            "skipped": [say(target.skipped, language) for target in targets if target.skipped is not None],
            "levels": len(config.users),
            "most_users": max(config.users, default=1),
            "questions": len(questions_of(config.questions, config.question)),
            "asked": self._asked(request, config),
        }

    def start(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Queue it; ``confirmed`` where what is asked first was confirmed."""
        require_operator(request)
        config = self._config(request, body)
        return {"id": self._benchmarks.start(config, confirmed=body.get("confirmed") is True)}

    def cancel(self, request: Request, body: Mapping[str, Any]) -> Any:
        """End it."""
        require_operator(request)
        self._benchmarks.cancel(request.path_params["id"])
        return {}

    def forget(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Take it from the list."""
        require_operator(request)
        self._benchmarks.forget(request.path_params["id"])
        return {}

    def file(self, request: Request, body: Mapping[str, Any]) -> Response:
        """Its figures as CSV, JSON or Markdown."""
        require_operator(request)
        kind = request.query_params.get("format", "csv")
        if kind not in FORMATS:
            known = ", ".join(FORMATS)
            raise InvalidInput(Message("lab.error.format", {"value": kind[:80], "known": known}, "format"))
        one = self._benchmarks.get(request.path_params["id"])
        text = {"csv": as_csv, "json": as_json, "md": as_markdown}[kind](one)
        if one.config.has_quality:
            compared = compared_json(self._services, one, language_of(request))
            if kind == "json":
                text = json.dumps({**json.loads(text), **compared}, indent=1, ensure_ascii=False)
            else:
                figures = {"csv": quality_csv, "md": quality_markdown}[kind](compared, language_of(request))
                text = figures + "\n" + text if one.config.users else figures
        headers = {"content-disposition": f'attachment; filename="benchmark-{one.id}.{kind}"'}
        return Response(text, media_type=f"{MEDIA[kind]}; charset=utf-8", headers=headers)

    def compared(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Its servers' ``answers`` side by side with their ``figures``; the tutorials' ``table``, None where it is no
        such table."""
        require_operator(request)
        return compared_json(self._services, self._benchmarks.get(request.path_params["id"]), language_of(request))

    def tables(self, request: Request, body: Mapping[str, Any]) -> Any:
        """The models that the tutorials' table can be made of; whether there is a ``gpu``."""
        require_operator(request)
        tables = self._services.lab.tables
        return {"gpu": tables.has_gpu(), "models": tables.offers()}

    def _config(self, request: Request, body: Mapping[str, Any]) -> BenchmarkConfig:
        if body.get("kind") == "table":
            return read_table(body, self._services.lab.tables.has_gpu(), language_of(request))
        return read_config(body)

    def _asked(self, request: Request, config: BenchmarkConfig) -> list[str]:
        language = language_of(request)
        _, _, asked = self._benchmarks.look(config)
        said = [say(message, language) for message in asked]
        for server_id in config.servers:
            if count := self._services.answering(server_id):
                name = self._services.servers.get(server_id).name
                said.append(say(Message("lab.benchmark.ask_busy", {"name": name, "count": count}), language))
        return said


def benchmark_json(one: Benchmark, language: Language) -> dict[str, Any]:
    """As the page shows it."""
    value = one.to_json()
    value["questions"] = len(questions_of(one.config.questions, one.config.question))
    for shown, target in zip(value["targets"], one.targets, strict=True):
        shown["problem"] = None if target.problem is None else say(target.problem, language)
        shown["skipped"] = None if target.skipped is None else say(target.skipped, language)
        shown["answered"] = len(target.quality["answers"]) if target.quality else 0
        del shown["quality"]  # it is large, and asked for where it is shown
        shown["knee"] = knee(_curve(target))
    return value


def as_json(one: Benchmark) -> str:
    """All of it."""
    return json.dumps(benchmark_json(one, "en"), indent=1)


def as_csv(one: Benchmark) -> str:
    """A line a level of each server."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["server", *_heads()])
    for target in one.targets:
        writer.writerows([safe_cell(target.name), *_cells(level)] for level in target.levels)
    return out.getvalue()


def as_markdown(one: Benchmark) -> str:
    """A table of the levels of each server."""
    config = one.config
    picture = ", a picture in each request" if config.picture else ""
    lines = [f"{config.prompt_tokens} → {config.answer_tokens} tokens{picture}, {config.seconds} s a level", ""]
    heads = ["server", *_heads()]
    lines += [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for target in one.targets:
        for level in target.levels:
            cells = [target.name.replace("|", "\\|"), *(_short(cell) for cell in _cells(level))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _curve(target: Target) -> Sequence[tuple[int, float]]:
    return [(level["users"], level["tokens_per_s"]) for level in target.levels]


def _heads() -> list[str]:
    return [
        head for name in FIGURES for head in ([f"{name}_p{p}" for p in PERCENTILES] if name.endswith("_ms") else [name])
    ]


def _cells(level: Mapping[str, Any]) -> list[Any]:
    cells: list[Any] = []
    for name in FIGURES:
        value = level.get(name)
        cells += (list(value) if isinstance(value, (list, tuple)) else [None] * 3) if name.endswith("_ms") else [value]
    return ["" if cell is None else cell for cell in cells]


def _short(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
