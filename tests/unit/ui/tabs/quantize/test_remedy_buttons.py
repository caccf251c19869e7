"""What the buttons in the Quantize tab's messages set."""

import pytest

from backend.errors import Message
from backend.quantization.base import QuantConfig
from ui.tabs.quantize.remedy_buttons import settings_for


@pytest.mark.parametrize(
    ("message", "method", "settings"),
    [
        (
            Message("quantize.model.unsupported", {"architecture": "InternVLForConditionalGeneration"}),
            "smooth_quant",
            [{"method": "awq"}],
        ),
        (Message("quantize.model.unsupported", {"architecture": "GPT2LMHeadModel"}), "smooth_quant", []),
        (Message("quantize.smooth.no-data"), "smooth_quant", [{"dataset": "demo"}]),
        (Message("quantize.samples.zero"), "smooth_quant", []),
        (Message("quantize.samples.zero"), "awq", [{"dataset": "none"}]),
        (Message("quantize.text.missing"), "smooth_quant", [{"dataset": "demo"}]),
    ],
)
def test_what_would_help(message: Message, method: str, settings: list[dict[str, str]]) -> None:
    config = QuantConfig("/m", "/out", method=method, dataset="none")
    assert [changed for _, changed in settings_for(message, config)] == settings
