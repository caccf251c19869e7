"""What the question being written takes of the model's context, as the page's meter shows it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.chat.attachments import Looked
from backend.chat.context import Weight
from ui.i18n import Language, say


def meter_value(weight: Weight, looked: Sequence[Looked], language: Language) -> Mapping[str, Any]:
    """``files``: each with its tokens or what is wrong with it; the others are tokens, but ``left_out`` (questions)."""
    tokens = iter(weight.files)
    files = [
        {
            "name": one.name,
            "tokens": next(tokens) if one.document is not None else None,
            "pages": one.document.pages if one.document is not None else 0,
            "of_pages": one.document.of_pages if one.document is not None else 0,
            "problem": say(one.problem, language) if one.problem is not None else "",
            "notices": [say(notice, language) for notice in one.notices],
        }
        for one in looked
    ]
    return {
        "files": files,
        "question": weight.question,
        "settings": weight.settings,
        "pictures": weight.pictures,
        "earlier": sum(weight.earlier[weight.left_out :]),
        "left_out": weight.left_out,
        "answer": weight.answer,
        "total": weight.total,
        "context": weight.context,
        "exact": weight.exact,
        "fits": weight.fits,
    }
