"""What every page polls: servers, jobs and the header's figures as one value with a version."""

import hashlib
import json
import threading
from typing import Any

from backend.services import Services
from ui.access import Role
from ui.header import header_view
from ui.i18n import Language, say
from ui.views import view_json

Payload = dict[str, Any]


class Snapshots:
    """The newest snapshot for each role and language, made anew only when something in it changed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._made: dict[tuple[Role, Language], tuple[str, Payload]] = {}

    def get(self, role: Role, language: Language) -> Payload:
        """``version``, ``role``, ``language``, ``servers`` and ``jobs`` in their order, ``header``, ``notices``."""
        header = header_view(self._services)
        version = self._version(header, role, language)
        with self._lock:
            known = self._made.get((role, language))
            if known is not None and known[0] == version:
                return known[1]
        made = {
            "version": version,
            "role": role.value,
            "language": language,
            "servers": [view_json(view, role, language) for view in self._services.servers.snapshot()],
            "jobs": [view_json(view, role, language) for view in self._services.jobs.snapshot()],
            "header": header,
            "notices": self._notices(role, language),
        }
        with self._lock:
            self._made[role, language] = version, made
        return made

    def _notices(self, role: Role, language: Language) -> list[str]:
        """What the operator must know wherever they are; found out at the start, so no part of the version."""
        problem = self._services.store.problem
        return [say(problem, language)] if problem is not None and role == Role.OPERATOR else []

    def _version(self, header: Payload, role: Role, language: Language) -> str:
        """Taken before the views are read: a change in between only makes the next poll fetch once more."""
        services = self._services
        parts = [services.servers.version, services.jobs.version, role.value, language, services.started_at, header]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
