"""The chat's request as code, for the operator as it runs, for a class without paths and keys."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from backend.chat.conversation import Conversation, Exchange, Picture, Question, Sampling
from backend.chat.prompt import chat_request
from backend.chat.snippets import Target, curl_code, picture_reference, python_code
from backend.errors import NotFound
from backend.servers.view import ServerView
from backend.services import Services
from ui.access import Role, Visitor
from ui.i18n import t
from ui.tabs.chat.samples import QUESTIONS


def code_view(
    services: Services, who: Visitor, server: ServerView, conversation: Conversation, sampling: Sampling
) -> Mapping[str, str]:
    """``python`` and ``curl``: the last question with all that was said before, or a sample question to begin with."""
    operator = who.role is Role.OPERATOR
    if conversation.exchanges:
        last = Exchange(conversation.exchanges[-1].question)
        asked = Conversation((*conversation.exchanges[:-1], last), sampling)
    else:
        asked = Conversation((Exchange(Question(t(QUESTIONS[0], who.language))),), sampling)

    def reference(picture: Picture) -> str:
        try:
            path = services.chat.pictures.path(who.id, picture.id)
        except NotFound:
            path = Path(picture.id)
        return picture_reference(path if operator else Path(path.name))

    model = server.model_id if operator else Path(server.model_id).name
    request = chat_request(asked, 0, model, server.takes_images, reference)
    key_file = services.settings.keys_dir / f"{server.id}.key"
    target = Target(server.base_url)
    if key_file.is_file():
        target = replace(target, key_file=key_file) if operator else replace(target, key_name="YOUR_KEY")
    return {"python": python_code(request, target), "curl": curl_code(request, target)}
