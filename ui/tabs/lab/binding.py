"""The Lab's script works by routes; what fills another tab's form goes through Gradio."""

from collections.abc import Mapping
from typing import Any

from backend.services import Services
from ui.tabs.lab.form import LabTab
from ui.tabs.lab.handlers import Handlers


def bind(services: Services, tab: LabTab, tabs: Mapping[str, Any]) -> None:
    """ "Start it again" fills the Deploy form, or the Quantize form, and opens that tab; "Quantize it" names the model
    there."""
    handlers = Handlers(services)
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "preprocess": False, "inputs": tab.bridge}
    outputs = [tab.message, tabs["tabs"]]
    if "deploy" in tabs:
        tab.bridge.again(handlers.again, outputs=[*outputs, *tabs["deploy"].inputs()], api_name="lab_again", **quick)
    if "quantize" in tabs:
        tab.bridge.requantize(
            handlers.requantize, outputs=[*outputs, *tabs["quantize"].inputs()], api_name="lab_requantize", **quick
        )
        tab.bridge.quantize(
            handlers.quantize,
            outputs=[*outputs, tabs["quantize"].model, tabs["quantize"].method],
            api_name="lab_quantize",
            **quick,
        )
