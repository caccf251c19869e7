"""What the Lab's Gradio events do: fill another tab's form with a row's settings."""

from typing import Any

import gradio as gr

from backend.errors import Message, NotFound
from backend.lab.row import QUANTIZATION, RunRow, quant_config, serve_config
from backend.services import Services
from ui.i18n import Language
from ui.page.operator import for_operator
from ui.page.render import message_html
from ui.tabs.deploy.values import CONTROLS as DEPLOY
from ui.tabs.deploy.values import form_values as deploy_values
from ui.tabs.quantize.values import CONTROLS as QUANTIZE
from ui.tabs.quantize.values import form_values as quantize_values
from ui.web.visitor import language_of

Updates = tuple[Any, ...]


class Handlers:
    """Reads rows; what it fills is checked where it is started."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def again(self, request: gr.Request, run_id: object) -> Updates:
        """Put a server's settings into the Deploy form: message, tabs, then every control of the form."""

        def fill() -> Updates:
            row = self._row(run_id)
            held = deploy_values(_read(serve_config, row)).values
            return _said(row, language_of(request)), gr.Tabs(selected="deploy"), *(held[name] for name in DEPLOY)

        return for_operator(request, DEPLOY, fill, lambda html: (html, *[gr.skip()] * (len(DEPLOY) + 1)))

    def requantize(self, request: gr.Request, run_id: object) -> Updates:
        """Put a quantization's settings into the Quantize form: message, tabs, then every control of the form."""

        def fill() -> Updates:
            row = self._row(run_id)
            held = quantize_values(_read(quant_config, row))
            return _said(row, language_of(request)), gr.Tabs(selected="quantize"), *(held[name] for name in QUANTIZE)

        return for_operator(request, QUANTIZE, fill, lambda html: (html, *[gr.skip()] * (len(QUANTIZE) + 1)))

    def quantize(self, request: gr.Request, model: object) -> Updates:
        """Put a model of the tutorials' table, which has no 4-bit weights yet, into the Quantize form: message, tabs,
        model, method."""

        def fill() -> Updates:
            offers = self.services.lab.tables.offers()
            offer = next((one for one in offers if one["path"] == str(model or "")), None)
            if offer is None:
                raise NotFound(Message("lab.table.no_model"))
            said = Message("lab.message.quantize", {"name": str(offer["name"])}, level="info")
            return message_html([said], language_of(request), {}), gr.Tabs(selected="quantize"), offer["path"], "awq"

        return for_operator(request, QUANTIZE, fill, lambda html: (html, *[gr.skip()] * 3))

    def _row(self, run_id: object) -> RunRow:
        return self.services.lab.runs.get(str(run_id or ""))


def _read(read: Any, row: RunRow) -> Any:
    try:
        return read(row)
    except (KeyError, TypeError, ValueError):
        raise NotFound(Message("lab.error.no_settings", {"name": row.name})) from None


def _said(row: RunRow, language: Language) -> str:
    key = "lab.message.requantize" if row.kind == QUANTIZATION else "lab.message.again"
    return message_html([Message(key, {"name": row.name}, level="info")], language, {})
