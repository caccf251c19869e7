"""Whether a server that the console didn't start holds an answer to a JSON schema: asked once, when somebody wants it.

Many take the field and leave it out without a word. So it is asked for something that nothing but the schema names; a
server that refuses is asked the same without it, so that another trouble isn't taken for this one.
"""

import asyncio
from dataclasses import replace
from typing import Any

from backend.chat.answer_form import response_format
from backend.chat.client import Client
from backend.chat.conversation import AnswerForm
from backend.chat.questions import Servers
from backend.errors import ConsoleError
from backend.servers.first_question import said
from backend.servers.server import ServerState

ENGINES = frozenset({"external", "proxy"})  # of the others it is known (abilities.py)
DEADLINE_S = 30.0
TOKENS = 24
NAME = "is_held"
SCHEMA = (
    f'{{"type": "object", "properties": {{"{NAME}": {{"type": "boolean"}}}}, "required": ["{NAME}"], '
    '"additionalProperties": false}'
)


class FormProbe:
    """For one event loop. What came stands in the server's view, and stays."""

    def __init__(self, client: Client, servers: Servers) -> None:
        self._client = client
        self._servers = servers
        self._asked: set[str] = set()  # since the console was started

    async def look(self, server_id: str) -> None:
        """Ask that server, where it isn't known. A server that is gone meanwhile needs no answer."""
        try:
            view = self._servers.get(server_id)
            running, known = view.state is ServerState.RUNNING, view.takes_forms is not None
            if view.config.engine not in ENGINES or known or not running or server_id in self._asked:
                return
            self._asked.add(server_id)
            endpoint = await asyncio.to_thread(self._servers.endpoint, server_id)
            found = await takes_forms(self._client, endpoint.base_url, endpoint.api_key, view.model_id)
            if found is not None:
                await asyncio.to_thread(self._servers.change, server_id, lambda now: replace(now, takes_forms=found))
        except ConsoleError:
            return


async def takes_forms(client: Client, base_url: str, api_key: str, model_id: str) -> bool | None:
    """None where it can't be told: no answer in time, or none at all."""
    plain: dict[str, Any] = {
        "model": model_id,
        "messages": [{"role": "user", "content": "Is 2 an even number?"}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": False,
    }
    held = {**plain, "response_format": response_format(AnswerForm("schema", SCHEMA))}
    answer = await client.ask(base_url, api_key, held, DEADLINE_S)
    if answer is None:
        return None
    status, body = answer
    if 200 <= status < 300:
        text = said(body).lstrip()
        return None if not text else text.startswith("{") and f'"{NAME}"' in text
    again = await client.ask(base_url, api_key, {**plain, "max_tokens": 1}, DEADLINE_S)
    return False if again is not None and 200 <= again[0] < 300 else None
