"""The chat's request as code that goes through the console's own address: it runs as it stands, here and over SSH."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.chat.abilities import no_logprobs
from backend.chat.conversation import Conversation, Exchange, Question, Sampling
from backend.chat.prompt import chat_request
from backend.chat.snippets import Target, client_settings, curl_code, picture_reference, python_code
from backend.chat.thinking import switch_of
from backend.chat.tools import TOOLS
from backend.gateway.names import listed
from backend.servers.server import ServerView
from backend.services import Services
from ui.i18n import t
from ui.tabs.chat.samples import QUESTIONS, TOOL_QUESTION
from ui.web.visitor import Visitor

# Stands for the console's address, which only the browser knows: an SSH forward or a proxy may have changed it.
ADDRESS = "http://console.invalid/v1"
NO_CODE: Mapping[str, Any] = {}


def code_view(
    services: Services, who: Visitor, server: ServerView, conversation: Conversation, sampling: Sampling
) -> Mapping[str, Any]:
    """``variants``: the same request streamed and whole, and the loop of a model that calls functions; each as
    ``python`` and ``curl``. It is the last question with all that was said before, or a sample question to begin with.

    ``address`` stands in them for the console's /v1, ``key`` is the key that they use, ``clients`` how other programs
    are told both. A server that the console's address doesn't offer has none of these, and ``unlent`` is "yes".
    """
    gateway = services.gateway
    offered = {one.view.id: one.id for one in listed(services.servers.snapshot(), gateway.lent())}
    if server.id not in offered:
        return {**NO_CODE, "unlent": "yes"}
    key = gateway.keys.page_key(who.role.value, who.id)
    target = Target(ADDRESS, key=key)
    if no_logprobs(server) is not None:
        sampling = replace(sampling, logprobs=False)

    def request(asked: Conversation) -> dict[str, Any]:
        return chat_request(
            asked,
            0,
            offered[server.id],
            server.takes_images,
            lambda picture: picture_reference(picture.id),
            engine=server.config.engine,
            thinking_switch=switch_of(Path(server.model_path)),
        )

    def first(question: str, settings: Sampling) -> Conversation:
        return Conversation((Exchange(Question(t(question, who.language))),), settings)

    if conversation.exchanges:
        last = Exchange(conversation.exchanges[-1].question)
        asked = request(Conversation((*conversation.exchanges[:-1], last), sampling))
    else:
        asked = request(first(QUESTIONS[0], sampling))
    calls = request(first(TOOL_QUESTION, replace(sampling, tools=tuple(TOOLS), temperature=0.0)))  # no room for chance
    return {
        "variants": {
            "stream": {"python": python_code(asked, target), "curl": curl_code(asked, target)},
            "whole": {
                "python": python_code(asked, target, stream=False),
                "curl": curl_code(asked, target, stream=False),
            },
            "tools": {"python": python_code(calls, target), "curl": curl_code(calls, target, stream=False)},
        },
        "clients": client_settings(offered[server.id], target),
        "address": ADDRESS,
        "key": key,
    }
