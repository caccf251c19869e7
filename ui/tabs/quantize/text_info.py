"""What the form shows of an own calibration text before a job starts: how it was read, how it begins, its tokens."""

from html import escape

from backend.quantization.base import QuantConfig
from backend.quantization.children.count_tokens import MOST_CHARACTERS
from backend.quantization.texts import KeptText
from ui.i18n import Language, say, t

TYPED = "quantize-text.txt"  # the name of what was typed or pasted
SAMPLES = 3
SAMPLE_CHARACTERS = 160


def text_html(kept: KeptText, language: Language) -> str:
    """What was read, what was left out of it, and how it begins."""
    form = t(f"quantize.form.{kept.form}", language, {"records": f"{kept.records:,}"})
    params = {"name": kept.name, "kib": f"{kept.characters / 1024:,.1f}", "form": form}
    key = "quantize.text.typed" if kept.name == TYPED else "quantize.upload.kept"
    notes = "".join(_note(say(notice, language)) for notice in kept.notices)
    pieces = "".join(f"<li>{escape(piece)}</li>" for piece in kept.samples(SAMPLES, SAMPLE_CHARACTERS))
    first = _note(t("quantize.text.first", language))
    return f'{_note(t(key, language, params))}{notes}{first}<ol class="quantize-samples">{pieces}</ol>'


def tokens_html(tokens: int, kept: KeptText, config: QuantConfig, language: Language) -> str:
    """How many tokens and samples it makes."""
    pieces = tokens // max(1, config.seqlen)
    params = {
        "tokens": f"{tokens:,}",
        "pieces": f"{pieces:,}",
        "seqlen": f"{config.seqlen:,}",
        "samples": f"{config.samples:,}",
    }
    key = "quantize.tokens.more" if kept.is_longer(MOST_CHARACTERS) else "quantize.tokens"
    shown = _note(t(key, language, params))
    return shown + _note(t("quantize.tokens.overlap", language)) if 0 < pieces < config.samples else shown


def _note(text: str) -> str:
    return f'<p class="quantize-note">{escape(text)}</p>'
