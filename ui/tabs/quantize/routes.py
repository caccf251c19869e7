"""The routes behind the jobs' buttons."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message
from backend.services import Services
from ui.web.report import job_report
from ui.web.routes import json_route
from ui.web.visitor import require_operator

Body = Mapping[str, Any]


def routes(services: Services) -> Sequence[BaseRoute]:
    """``POST jobs/{id}/cancel``, ``forget``, ``move`` {places}, ``restart`` {remedy}, ``perplexity``;
    ``GET jobs/{id}/report``."""
    jobs = services.jobs

    def cancel(job_id: str, body: Body) -> Body:
        jobs.cancel(job_id)
        return {}

    def forget(job_id: str, body: Body) -> Body:
        jobs.forget(job_id)
        return {}

    def move(job_id: str, body: Body) -> Body:
        places = body.get("places")
        if not isinstance(places, int) or isinstance(places, bool):
            raise InvalidInput(Message("common.bad_request"))
        jobs.move(job_id, places)
        return {}

    def restart(job_id: str, body: Body) -> Body:
        """``remedy`` is the number of one that the job's diagnosis offers; without it nothing is changed."""
        number = body.get("remedy")
        diagnosis = jobs.get(job_id).job.diagnosis
        if number is None:
            return {"id": jobs.restart(job_id)}
        if diagnosis is None or number not in range(len(diagnosis.remedies)):
            raise InvalidInput(Message("common.bad_request"))
        return {"id": jobs.restart(job_id, diagnosis.remedies[number].settings)}

    def perplexity(job_id: str, body: Body) -> Body:
        jobs.measure_perplexity(job_id)
        return {}

    def report(job_id: str, body: Body) -> Body:
        return {"text": job_report(services, jobs.get(job_id))}

    return [*(_route(act) for act in (cancel, forget, move, restart, perplexity)), _route(report, "GET")]


def _route(act: Callable[[str, Body], Body], method: str = "POST") -> Route:
    """A route that only the operator may use, on the job that its path names."""

    def handle(request: Request, body: Body) -> Body:
        require_operator(request)
        return act(request.path_params["id"], body)

    return Route(f"/jobs/{{id}}/{act.__name__}", json_route(handle), methods=[method])
