"""Routes of "Get a model": what hubs offer, and the downloads.

    downloads/ask            POST {"text", "form", "card"}: a model's card, or what a search found
    downloads                POST {"offer", "source", "place"}: start one
    downloads/token          POST {"endpoint", "token"}: keep a token for that hub, "" forgets it
    downloads/{id}/{act}     POST: pause, resume, cancel, forget

The operator's alone. ``form`` is the Deploy form, in the order of its controls, for the plan on the card's verdict.
Only "ask" and a download ask a hub, and only since a person clicked.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.downloads.offers import Offer, Offered
from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.choice import default_engine
from backend.errors import ConsoleError, InvalidInput, Message
from backend.models.checkpoint import ModelInfo
from backend.services import Services
from ui.i18n import Language, say, t
from ui.page.units import gib, parameters, tokens
from ui.tabs.deploy.values import CONTROLS, FormValues, serve_config
from ui.web.routes import json_route
from ui.web.visitor import language_of, require_operator

Body = Mapping[str, Any]
ACTS = ("pause", "resume", "cancel", "forget")
PLANNED = ("turbomind", "pytorch", "transformers")
MOST_FOUND = 20


def download_routes(services: Services) -> list[BaseRoute]:
    """The routes, to be mounted under ``console/``."""
    downloads = services.downloads

    def ask(request: Request, body: Body) -> Body:
        require_operator(request)
        language = language_of(request)
        answer = downloads.ask(_text(body, "text"))
        if answer.offer is not None:
            return {"offer": offer_json(services, answer.offer, body, language)}
        found = [
            {
                "source": source.name,
                "problem": None if problem is None else say(problem, language),
                "models": [
                    {"id": one.id, "downloads": one.downloads, "gated": one.gated} for one in models[:MOST_FOUND]
                ],
            }
            for source, models, problem in answer.found
        ]
        return {"found": found}

    def start(request: Request, body: Body) -> Body:
        require_operator(request)
        number = body.get("source")
        if not isinstance(number, int) or isinstance(number, bool):
            raise InvalidInput(Message("common.bad_request"))
        return {"id": downloads.start(_text(body, "offer"), number, _text(body, "place"))}

    def token(request: Request, body: Body) -> Body:
        require_operator(request)
        downloads.keep_token(_text(body, "endpoint"), _text(body, "token"))
        return {}

    def act(request: Request, body: Body) -> Body:
        require_operator(request)
        what = request.path_params["act"]
        if what not in ACTS:
            raise InvalidInput(Message("common.bad_request"))
        getattr(downloads, what)(request.path_params["id"])
        return {}

    return [
        Route("/downloads/ask", json_route(ask), methods=["POST"]),
        Route("/downloads/token", json_route(token), methods=["POST"]),
        Route("/downloads", json_route(start), methods=["POST"]),
        Route("/downloads/{id}/{act}", json_route(act), methods=["POST"]),
    ]


def offer_json(services: Services, offer: Offer, body: Body, language: Language) -> Body:
    """A card as the page shows it: sentences in its language, sizes in bytes."""
    name = next((one.repository.id for one in offer.offered if one.repository), offer.wanted.repository)
    problem = offer.model.problem if offer.model is not None else None
    return {
        "id": offer.id,
        "name": name,
        "best": offer.best,
        "size_bytes": offer.size_bytes,
        "left_bytes": offer.left_bytes,
        "files": len(offer.files),
        "facts": facts(offer.model, language) if offer.model is not None else [],
        "problem": say(problem, language) if problem is not None else None,
        "verdict": verdict(services, offer, body, language),
        "here": [str(path) for path in offer.here],
        "sources": [source_json(services, number, one, language) for number, one in enumerate(offer.offered)],
    }


def source_json(services: Services, number: int, offered: Offered, language: Language) -> Body:
    """One source: whether it can give the model, how fast, and where that would go."""
    repository = offered.repository
    return {
        "number": number,
        "kind": offered.source.kind,
        "name": offered.source.name,
        "endpoint": offered.source.endpoint,
        "model": offered.name,
        "speed": offered.speed,
        "same": offered.same,
        "can_give": offered.can_give,
        "problem": None if offered.problem is None else say(offered.problem, language),
        "token_helps": offered.problem is not None
        and offered.problem.key.rpartition(".")[2] in ("gated", "unauthorized", "forbidden"),
        "has_token": services.downloads.tokens.has(offered.source),
        "licence": repository.licence if repository else "",
        "gated": bool(repository and repository.gated),
        "places": [
            {"id": place.id, "path": str(place.path), "free_bytes": place.free_bytes}
            for place in (services.downloads.places(offered) if offered.can_give else ())
        ],
    }


def facts(model: ModelInfo, language: Language) -> list[tuple[str, str]]:
    """What the files' headers tell: name of the fact, label and value."""
    if model.problem is not None and not model.config:
        return []
    method = model.quantization or model.dtype or "–"
    bits = f"{8 * model.weight_bytes / model.parameters:.1f}" if model.parameters and model.weight_bytes else ""
    values = {
        "architecture": model.architecture or "–",
        "parameters": parameters(model.parameters) or "–",
        "bits": t("downloads.card.bits-of", language, {"bits": bits, "method": method}) if bits else method,
        "context": t("deploy.fact.tokens", language, {"count": tokens(model.context_length)})
        if model.context_length
        else "–",
        "pictures": t("deploy.fact.yes" if model.takes_images else "deploy.fact.no", language),
    }
    return [(t(f"downloads.card.{name}", language), value) for name, value in values.items()]


def verdict(services: Services, offer: Offer, body: Body, language: Language) -> Body | None:
    """Whether it fits this card with the form's settings, as the memory plan says; None where nothing can be said."""
    if offer.shape is None:
        return None
    try:
        config = form_config(services, body)
        card, named = services.planner.card(config, str(body.get("card") or ""))
        plan = services.planner.plan_on(offer.shape, config, card, named).plan
    except ConsoleError as error:
        return {"level": "unknown", "title": "", "text": say(error.messages[0], language)}
    params = {"total": gib(plan.total_bytes), "card": gib(card.free_bytes), "engine": config.engine}
    key = "downloads.card.over" if plan.verdict == "over" else "downloads.card.takes"
    return {
        "level": plan.verdict,
        "title": t(f"plan.verdict.{plan.verdict}", language),
        "text": t(key, language, params),
    }


def form_config(services: Services, body: Body) -> ServeConfig:
    """The form's settings, for another model than the one in it; the engine's own where they can't be read, or where
    the engine loads no model."""
    values = body.get("form")
    usual = ServeConfig(engine=default_engine(services.finder.machine()), model="")
    if not isinstance(values, list) or len(values) != len(CONTROLS):
        return usual
    form = FormValues.of(values)
    engine = ENGINES.get(form.choice("engine"))
    if engine is None or engine.name not in PLANNED:
        return usual
    try:
        return serve_config(form, engine.fields)
    except InvalidInput:
        return ServeConfig(engine=engine.name, model="")


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidInput(Message("common.bad_request"))
    return value
