"""What stands on the Chat tab."""

from dataclasses import dataclass
from typing import Literal

import gradio as gr

from backend.chat.conversation import Sampling
from backend.chat.tools import TOOLS
from backend.services import Services
from ui.i18n import L

MATH = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
HEIGHT = "max(300px, calc(100vh - 420px))"
ANY_TEXT = 1_000_000  # characters; Gradio turns a longer pasted text into a file


@dataclass(frozen=True)
class ChatTab:
    """The tab's components."""

    server: gr.Dropdown
    other_server: gr.Dropdown
    message: gr.HTML
    box: gr.Chatbot
    other_box: gr.Chatbot
    starter: gr.HTML
    stats: gr.HTML
    input: gr.MultimodalTextbox
    instead: gr.Checkbox
    stop: gr.Button
    again: gr.Button
    edit: gr.Button
    clear: gr.Button
    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Number
    tools: gr.Dropdown
    code: gr.HTML
    page: gr.HTML


def build(services: Services) -> ChatTab:
    """Conversation on the left, settings and code on the right; below one another on a narrow page."""
    with gr.Row(elem_id="chat-columns", equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_id="chat-main"):
            with gr.Row(elem_id="chat-servers"):
                server = _servers("chat-server", "chat.server.label")
                other_server = _servers("chat-server-2", "chat.server_2.label", visible="hidden")
            with gr.Column(elem_id="chat-stage"):
                with gr.Row(elem_id="chat-boxes", equal_height=True):
                    box = _box("chat-box")
                    other_box = _box("chat-box-2")  # the page's script shows it
                starter = gr.HTML(
                    elem_id="chat-starter",
                    html_template="",
                    js_on_load=(
                        "lmConsole.mount('chat-starter', element, "
                        "{props, watch, ask: (index) => trigger('sample', {index})})"
                    ),
                )
            message = gr.HTML(elem_id="chat-message")
            stats = gr.HTML(
                value={"state": "idle"},
                elem_id="chat-stats",
                html_template="",
                js_on_load="lmConsole.mount('chat-stats', element, {props, watch})",
            )
            question = gr.MultimodalTextbox(
                value={"text": "", "files": []},
                label=L("chat.input.label"),
                show_label=False,
                placeholder=L("chat.input.placeholder"),
                file_types=["image"],
                file_count="multiple",
                sources=["upload"],
                max_plain_text_length=ANY_TEXT,
                lines=1,  # with one line Enter sends, and Shift-Enter begins another
                max_lines=12,
                interactive=True,
                elem_id="chat-input",
            )
            instead = gr.Checkbox(
                label=L("chat.replace.label"), visible="hidden", interactive=True, elem_id="chat-replace"
            )
            with gr.Row(elem_id="chat-buttons"):
                stop = _button("stop", variant="stop")
                again = _button("regenerate")
                edit = _button("edit")
                clear = _button("clear")
        with gr.Column(scale=2, min_width=280, elem_id="chat-side"):
            system, temperature, top_p, max_tokens, tools = _settings()
            with gr.Accordion(L("chat.code.label"), open=False, elem_id="chat-code-panel"):
                code = gr.HTML(
                    elem_id="chat-code",
                    html_template="",
                    js_on_load="lmConsole.mount('chat-code', element, {props, watch})",
                )
    page = gr.HTML(
        elem_id="chat-page",
        html_template="",
        js_on_load=(
            "lmConsole.mount('chat-page', element, "
            "{opened: () => trigger('opened'), servers: () => trigger('servers'),"
            " grew: () => trigger('grew'), ended: () => trigger('ended')})"
        ),
    )
    return ChatTab(
        server=server,
        other_server=other_server,
        message=message,
        box=box,
        other_box=other_box,
        starter=starter,
        stats=stats,
        input=question,
        instead=instead,
        stop=stop,
        again=again,
        edit=edit,
        clear=clear,
        system=system,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        tools=tools,
        code=code,
        page=page,
    )


def _servers(elem_id: str, label: str, *, visible: bool | Literal["hidden"] = True) -> gr.Dropdown:
    """Gradio would refuse what isn't among the choices that it last sent to this page, which it forgets when the
    console
    is restarted; the handlers check the choice themselves."""
    return gr.Dropdown(
        choices=[],
        label=L(label),
        interactive=True,
        filterable=True,
        allow_custom_value=True,
        visible=visible,
        elem_id=elem_id,
    )


def _box(elem_id: str) -> gr.Chatbot:
    return gr.Chatbot(
        label=L("chat.box.label"),
        show_label=False,
        height=HEIGHT,
        buttons=[],
        latex_delimiters=MATH,
        allow_tags=False,
        layout="bubble",
        elem_id=elem_id,
    )


def _button(name: str, variant: str = "secondary") -> gr.Button:
    """What can be pressed follows the conversation's state, in chat.js."""
    return gr.Button(
        L(f"chat.{name}.label"), size="sm", variant=variant, interactive=True, min_width=96, elem_id=f"chat-{name}"
    )


def _settings() -> tuple[gr.Textbox, gr.Slider, gr.Slider, gr.Number, gr.Dropdown]:
    default = Sampling()
    with gr.Accordion(L("chat.settings.label"), open=True, elem_id="chat-settings"):
        system = gr.Textbox(
            label=L("chat.system.label"),
            placeholder=L("chat.system.placeholder"),
            lines=3,
            max_lines=10,
            interactive=True,
            elem_id="chat-system",
        )
        temperature = gr.Slider(
            0,
            2,
            value=default.temperature,
            step=0.05,
            label=L("chat.temperature.label"),
            info=L("chat.temperature.info"),
            interactive=True,
            elem_id="chat-temperature",
        )
        top_p = gr.Slider(
            0.05,
            1,
            value=default.top_p,
            step=0.05,
            label=L("chat.top-p.label"),
            info=L("chat.top-p.info"),
            interactive=True,
            elem_id="chat-top-p",
        )
        max_tokens = gr.Number(
            value=default.max_tokens,
            precision=0,
            label=L("chat.max-tokens.label"),
            info=L("chat.max-tokens.info"),
            interactive=True,
            elem_id="chat-max-tokens",
        )
        tools = gr.Dropdown(
            choices=[(L(f"chat.tools.{name}"), name) for name in TOOLS],
            value=[],
            multiselect=True,
            filterable=True,
            label=L("chat.tools.label"),
            info=L("chat.tools.info"),
            interactive=True,
            elem_id="chat-tools",
        )
    return system, temperature, top_p, max_tokens, tools
