"""What every page polls: servers, jobs and the header's figures as one value with a version."""

import hashlib
import json
import threading
from typing import Any

from backend.services import Services
from ui.access import Role
from ui.header import header_view
from ui.i18n import Language
from ui.views import view_json

Payload = dict[str, Any]


class Snapshots:
    """The newest snapshot for each role and language, made anew only when something in it changed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._made: dict[tuple[Role, Language], tuple[str, Payload]] = {}

    def get(self, role: Role, language: Language) -> Payload:
        """``version``, ``role``, ``language``, ``servers`` and ``jobs`` in their order, ``header``."""
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
        }
        with self._lock:
            self._made[role, language] = version, made
        return made

    def _version(self, header: Payload, role: Role, language: Language) -> str:
        """Taken before the views are read: a change in between only makes the next poll fetch once more."""
        services = self._services
        parts = [services.servers.version, services.jobs.version, role.value, language, services.started_at, header]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
