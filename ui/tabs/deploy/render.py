"""What the handlers show as HTML: the chosen model's facts, the check of the machine. Pure; every value is escaped."""

from collections.abc import Iterable
from html import escape

from backend.machine.fit import CheckRow
from backend.models.checkpoint import ModelInfo
from ui.i18n import Language, say, t
from ui.page.units import gib, parameters, tokens


def model_facts(model: ModelInfo, language: Language) -> str:
    """The details line of a model: architecture, parameters, dtype, quantization, size, context, pictures."""
    if model.problem is not None:
        return f'<p class="deploy-problem">{escape(say(model.problem, language))}</p>'
    quantization = model.quantization or t("deploy.fact.none", language)
    if model.quantization and model.group_size:
        quantization = f"{model.quantization} (group size {model.group_size})"
    architecture = model.architecture
    if model.text_architecture and model.text_architecture != model.architecture:
        architecture = f"{model.architecture} ({model.text_architecture})"
    context = (
        t("deploy.fact.tokens", language, {"count": tokens(model.context_length)}) if model.context_length else "–"
    )
    facts = {
        "architecture": architecture or "–",
        "parameters": parameters(model.parameters) or "–",
        "dtype": model.dtype or "–",
        "quantization": quantization,
        "size": gib(model.size_bytes),
        "context": context,
        "pictures": t("deploy.fact.yes" if model.takes_images else "deploy.fact.no", language),
    }
    rows = "".join(
        f'<div data-fact="{name}"><dt>{escape(t(f"deploy.fact.{name}", language))}</dt><dd>{escape(value)}</dd></div>'
        for name, value in facts.items()
    )
    folder = f'<p class="deploy-folder" title="{escape(str(model.path))}">{escape(str(model.path))}</p>'
    return f'<dl class="deploy-facts">{rows}</dl>{folder}'


def note(text: str) -> str:
    """One quiet sentence."""
    return f'<p class="deploy-note">{escape(text)}</p>'


def machine_check(rows: Iterable[CheckRow], language: Language) -> str:
    """The tutorials' environment check: the machine, then each Python, each with whether it fits and the remedy."""
    return "".join(_check(row, language) for row in rows)


def _check(row: CheckRow, language: Language) -> str:
    title = row.label or t("deploy.check.machine", language)
    facts = "".join(
        f"<div><dt>{escape(t(key, language))}</dt><dd>{escape(value or t('deploy.check.none', language))}</dd></div>"
        for key, value in row.values
    )
    return (
        f'<section class="card deploy-check" data-level="{row.verdict.level}"><h3>{escape(title)}</h3>'
        f'<dl class="deploy-facts">{facts}</dl>'
        f'<p class="deploy-verdict">{escape(say(row.verdict, language))}</p></section>'
    )
