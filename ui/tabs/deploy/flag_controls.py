"""Controls for flags that LMDeploy has and the form's other controls don't cover: each writes into "further flags",
and shows what stands there. That text is what runs: a paste, a preset and a remedy need to know nothing of this.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.engines.base import ServeConfig
from backend.engines.choice import choose_environment
from backend.errors import ConsoleError, InvalidInput, Message
from backend.machine.fit import capabilities_of
from backend.machine.flags import Flag, choices, find, snapshot, without_flag
from backend.services import Services
from ui.i18n import L
from ui.page.form_controls import checkbox, dropdown, text
from ui.page.render import message_html
from ui.tabs.deploy.values import CONTROLS, FormValues
from ui.web.visitor import language_of, require_operator

AREA = "deploy-flag"
# Control → its flag. Switches are checkboxes; NAMED ones offer what the installed LMDeploy lists.
FLAGS: Mapping[str, str] = {
    "prefix": "--enable-prefix-caching",
    "batch": "--max-batch-size",
    "rope": "--rope-scaling-factor",
    "template": "--chat-template",
    "tools": "--tool-call-parser",
    "reasoning": "--reasoning-parser",
    "adapters": "--adapters",
    "speculative": "--speculative-algorithm",
    "draft": "--speculative-draft-model",
    "draft-tokens": "--speculative-num-draft-tokens",
}
ROWS = (
    ("batch", "rope"),
    ("tools", "reasoning"),
    ("template",),
    ("adapters",),
    ("speculative", "draft", "draft-tokens"),
)
SWITCHES = frozenset({"prefix"})
NAMED = ("tools", "reasoning", "speculative")
SEVERAL = frozenset({"adapters"})  # they take several words
PYTORCH_ALONE = frozenset({"adapters", "speculative", "draft", "draft-tokens"})


@dataclass(frozen=True)
class FlagControls:
    """The components, in the order of FLAGS."""

    controls: Mapping[str, Any]
    hiding: gr.HTML
    message: gr.HTML

    def all(self) -> list[Any]:
        """The controls in the order of FLAGS."""
        return list(self.controls.values())

    def fitted(self) -> list[Any]:
        """What follows the engine and its environment: the NAMED dropdowns, and what hides the others."""
        return [*(self.controls[name] for name in NAMED), self.hiding]


def build_flags() -> FlagControls:
    """Lay them out, folded."""
    made: dict[str, Any] = {}
    with gr.Accordion(L("deploy.flags.title"), open=False, elem_id="deploy-flags"):
        hiding = gr.HTML(elem_id="deploy-flags-hiding", padding=False)
        made["prefix"] = _control("prefix")
        for row in ROWS:
            with gr.Row(elem_id=f"{AREA}s-{row[0]}"):
                for name in row:
                    made[name] = _control(name)
        message = gr.HTML(elem_id="deploy-flags-message")
    return FlagControls({name: made[name] for name in FLAGS}, hiding, message)


def bind_flags(flags: FlagControls, extra: Any) -> None:
    """Connect both ways. A person's own change alone writes, so that the two don't call one another."""
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "preprocess": False}
    events = [flags.controls[name].input for name in (*SWITCHES, *NAMED)]
    for name in FLAGS:
        if name not in SWITCHES and name not in NAMED:
            events += [flags.controls[name].blur, flags.controls[name].submit]
    gr.on(
        events,
        write_flags,
        inputs=[extra, *flags.all()],
        outputs=[extra, flags.message],
        api_name="deploy_flags",
        **quick,
    )
    extra.change(
        show_flags,
        inputs=[extra, *flags.all()],
        outputs=flags.all(),
        trigger_mode="always_last",
        api_visibility="private",
        **quick,
    )


def write_flags(request: gr.Request, extra: object, *values: object) -> tuple[Any, str]:
    """Put the controls' values into the further flags: extra, message."""
    language = language_of(request)
    try:
        require_operator(request)
        words = with_values(_words(extra, "extra"), dict(zip(FLAGS, values, strict=True)))
    except ConsoleError as error:
        return gr.skip(), message_html(error.messages, language, CONTROLS)
    told = shlex.join(words)
    return (gr.skip() if told == str(extra or "").strip() else told), ""


def show_flags(request: gr.Request, extra: object, *values: object) -> tuple[Any, ...]:
    """Show what stands in the further flags: every control that shows something else."""
    try:
        words = _words(extra, "extra")
    except ConsoleError:  # half typed
        return tuple(gr.skip() for _ in FLAGS)
    held = dict(zip(FLAGS, values, strict=True))
    wanted = values_of(words)
    return tuple(gr.skip() if _same(name, held[name], wanted[name]) else wanted[name] for name in FLAGS)


def fit_flags(services: Services, engine: object, environment: object) -> tuple[Any, ...]:
    """What the installed LMDeploy offers: updates for ``FlagControls.fitted``."""
    chosen = FormValues({"engine": engine}).choice("engine")
    config = ServeConfig(chosen, "", environment=str(environment or ""))
    try:
        serve = capabilities_of(choose_environment(config, None, services.finder.machine())).serve
    except ConsoleError:
        serve = snapshot().serve
    updates = [gr.update(choices=["", *choices(serve, FLAGS[name])]) for name in NAMED]
    return *updates, hiding_html(chosen, serve)


def hiding_html(engine: str, serve: Sequence[Flag]) -> str:
    """The style that hides the controls of flags that this engine or version doesn't have. Gradio takes a component out
    of the page and puts it in again; see form.py."""
    gone = [
        name for name, flag in FLAGS.items()
        if find(serve, flag) is None or (name in PYTORCH_ALONE and engine != "pytorch")
    ]  # fmt: skip
    rows = [f"#{AREA}s-{row[0]}" for row in ROWS if set(row) <= set(gone)]
    ids = ", ".join([*(f"#{AREA}-{name}" for name in gone), *rows])
    return f"<style>{ids} {{ display: none !important; }}</style>" if gone else ""


def values_of(words: Sequence[str]) -> dict[str, Any]:
    """What the controls show for these further flags. Pure."""
    return {name: _value(words, name) for name in FLAGS}


def with_values(words: Sequence[str], values: Mapping[str, object]) -> tuple[str, ...]:
    """The further flags with these values: those that stand there already keep their place where nothing changes.
    Raises InvalidInput. Pure."""
    held = values_of(words)
    for name, value in values.items():
        if _same(name, value, held[name]):
            continue
        words = without_flag(words, FLAGS[name])
        if name in SWITCHES:
            words = (*words, FLAGS[name]) if value in (True, "true", "True", 1) else words
        elif given := str(value or "").strip():
            words = (*words, FLAGS[name], *(_words(given, "flags") if name in SEVERAL else (given,)))
    return tuple(words)


def _value(words: Sequence[str], name: str) -> Any:
    flag = FLAGS[name]
    for at, word in enumerate(words):
        head, equals, value = word.partition("=")
        if head != flag:
            continue
        if name in SWITCHES:
            return True
        if equals:
            return value
        following = list(words[at + 1 :])
        until = next((n for n, one in enumerate(following) if one.startswith("--")), len(following))
        return shlex.join(following[:until]) if name in SEVERAL else next(iter(following[:1]), "")
    return False if name in SWITCHES else ""


def _same(name: str, one: object, other: object) -> bool:
    if name in SWITCHES:
        return (one in (True, "true", "True", 1)) == (other in (True, "true", "True", 1))
    return str(one or "").strip() == str(other or "").strip()


def _words(text_: object, field: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(str(text_ or "")))
    except ValueError:
        raise InvalidInput(Message("deploy.error.quotes", {"value": str(text_)}, CONTROLS.get(field, ""))) from None


def _control(name: str) -> Any:
    elem_id = f"{AREA}-{name}"
    if name in SWITCHES:
        return checkbox(elem_id)
    if name in NAMED:
        return dropdown(elem_id, ["", *choices(snapshot().serve, FLAGS[name])], "")
    return text(elem_id)
