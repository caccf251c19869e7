"""What would help, as buttons in the Quantize tab's messages. Pure."""

from collections.abc import Callable, Mapping
from pathlib import Path

from backend.errors import Message, Value
from backend.quantization.awq import NATIVE_INTERNVL
from backend.quantization.base import DEMO_TEXT, NO_DATA, QuantConfig
from backend.quantization.checks import CPU_SAMPLES, CPU_SEQLEN
from ui.i18n import Language, t
from ui.page.remedies import remedy_button, remedy_row

Settings = Mapping[str, object]
IN_THE_WAY = frozenset({"file", "not-empty", "partial", "taken"})


def buttons_for(config: QuantConfig, free: Callable[[], Path], language: Language) -> Callable[[Message], str]:
    """What makes a message's buttons, for these settings. ``free`` finds a folder that nothing stands in."""

    def buttons(message: Message) -> str:
        area, _, word = message.key.rpartition(".")
        if area == "quantize.output" and word in IN_THE_WAY:
            place = str(free())
            label = t("quantize.remedy.output", language, {"name": Path(place).name})
            return remedy_row([remedy_button(label, {"settings": {"output": place}})])
        return remedy_row(
            [
                remedy_button(t(key, language, _shown(settings)), {"settings": settings})
                for key, settings in settings_for(message, config)
            ]
        )

    return buttons


def settings_for(message: Message, config: QuantConfig) -> list[tuple[str, Settings]]:
    """Texts' keys, and the settings that the buttons set."""
    params = message.params
    shorter = {"samples": CPU_SAMPLES, "seqlen": CPU_SEQLEN}
    match message.key:
        case "quantize.trust":
            return [("remedy.trust", {"trust_remote_code": True})]
        case "quantize.info.cpu":
            return [("quantize.remedy.quick", shorter)]
        case "quantize.gpu.memory":
            fits = {"samples": params["samples"], "seqlen": params["seqlen"], "batch_size": 1}
            return [("quantize.remedy.quick", fits)]
        case "quantize.text.short" | "quantize.demo.short":
            return [("quantize.remedy.seqlen", {"seqlen": _half(params)}), *_demo(config)]
        case "quantize.text.missing" | "quantize.dataset.unreachable":
            return [*_demo(config), *_no_data(config)]
        case "quantize.samples.zero":
            return _no_data(config)
        case "quantize.model.unsupported" if params["architecture"] == NATIVE_INTERNVL:  # AWQ takes its text model out
            return [("quantize.remedy.method", {"method": "awq"})]
        case "quantize.smooth.no-data":
            return _demo(config)
        case "quantize.symmetric":
            return [("quantize.remedy.off", {"symmetric": False})]
        case "quantize.dtype.cpu":
            return [("quantize.remedy.dtype", {"dtype": "float16"})]
        case "quantize.bits":
            return [("quantize.remedy.bits", {"bits": "4"})]
        case "quantize.group-divides":
            return [("quantize.remedy.group", {"group_size": str(params["fitting"])})]
        case "quantize.device.unknown":
            return [("quantize.remedy.device", {"device": "cpu"})]
    return []


def _demo(config: QuantConfig) -> list[tuple[str, Settings]]:
    return [] if config.dataset == DEMO_TEXT else [("quantize.remedy.demo-text", {"dataset": DEMO_TEXT})]


def _no_data(config: QuantConfig) -> list[tuple[str, Settings]]:
    """SmoothQuant needs a text."""
    return [("quantize.remedy.no-data", {"dataset": NO_DATA})] if config.method == "awq" else []


def _half(params: Mapping[str, Value]) -> int:
    """A sequence length that a text of so many tokens gives samples of."""
    tokens, length = int(params["tokens"]), 2048
    while length > 16 and length * 2 > tokens:
        length //= 2
    return length


def _shown(settings: Settings) -> dict[str, Value]:
    return {name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in settings.items()}
