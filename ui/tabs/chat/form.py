"""What stands on the Chat tab."""

from dataclasses import dataclass
from typing import Literal

import gradio as gr

from backend.chat.conversation import LANES, Sampling
from backend.chat.toolset import NAMES
from backend.services import Services
from ui.i18n import L
from ui.page.bridge import bridge, part
from ui.paste.box import PasteBox, build_paste
from ui.tabs.chat.answer_inline import MATH

ANY_TEXT = 1_000_000  # characters; Gradio turns a longer pasted text into a file


@dataclass(frozen=True)
class ChatTab:
    """The tab's components."""

    server: gr.Dropdown
    other_server: gr.Dropdown
    more_servers: gr.HTML
    message: gr.HTML
    box: gr.Chatbot
    other_box: gr.Chatbot
    more_boxes: tuple[gr.Chatbot, ...]
    starter: gr.HTML
    meter: gr.HTML
    input: gr.MultimodalTextbox
    instead: gr.Checkbox
    stop: gr.Button
    clear: gr.Button
    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Number
    tools: gr.Dropdown
    presets: gr.HTML
    options: gr.HTML
    code: gr.HTML
    paste: PasteBox
    bridge: gr.HTML


def build(services: Services) -> ChatTab:
    """The list on the left, the conversation, settings and code on the right; below one another on a narrow page."""
    with gr.Row(elem_id="chat-columns", equal_height=False):
        part("chat", "list")
        with gr.Column(scale=4, min_width=320, elem_id="chat-main"):
            with gr.Row(elem_id="chat-servers", equal_height=False):
                part("chat", "drawer")
                server = _servers("chat-server", "chat.server.label")
                other_server = _servers("chat-server-2", "chat.server_2.label", visible="hidden")
                more_servers = part("chat", "more", html_template="")
                part("chat", "stats")
                clear = _button("clear")
                part("chat", "view")
            with gr.Column(elem_id="chat-stage"):
                with gr.Row(elem_id="chat-boxes", equal_height=True):
                    box = _box("chat-box")
                    other_box = _box("chat-box-2")  # the page's script shows it, and the others
                    more_boxes = tuple(_box(f"chat-box-{lane}") for lane in range(3, LANES + 1))
                starter = part("chat", "starter", html_template="")
            message = gr.HTML(elem_id="chat-message")
            instead = gr.Checkbox(
                label=L("chat.replace.label"), visible="hidden", interactive=True, elem_id="chat-replace"
            )
            with gr.Row(elem_id="chat-ask", equal_height=False):
                question = _question()
                stop = _button("stop", variant="stop")
            meter = part("chat", "meter", html_template="")
        with gr.Column(scale=2, min_width=280, elem_id="chat-side"):
            system, temperature, top_p, max_tokens, tools, presets, options = _settings()
            with gr.Accordion(L("chat.code.label"), open=False, elem_id="chat-code-panel"):
                code = part("chat", "code", html_template="")
            paste = build_paste("chat")
    return ChatTab(
        server=server,
        other_server=other_server,
        more_servers=more_servers,
        message=message,
        box=box,
        other_box=other_box,
        more_boxes=more_boxes,
        starter=starter,
        meter=meter,
        input=question,
        instead=instead,
        stop=stop,
        clear=clear,
        system=system,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        tools=tools,
        presets=presets,
        options=options,
        code=code,
        paste=paste,
        bridge=bridge(
            "chat",
            "opened",
            "servers",
            "more",
            "turn",
            "grew",
            "widened",
            "ended",
            "sample",
            "again",
            "goon",
            "next",
            "edit",
            "stop",
            "clear",
            "show",
            "at",
            "weigh",
            "options",
            "apply",
            "keep",
            "forget",
        ),
    )


def _servers(elem_id: str, label: str, *, visible: bool | Literal["hidden"] = True) -> gr.Dropdown:
    """A choice of servers that takes any value; the handlers check it.

    Gradio would refuse what isn't among the choices that it last sent to this page, and it forgets those when the
    console is restarted.
    """
    return gr.Dropdown(
        choices=[],
        label=L(label),
        show_label=False,
        container=False,
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
        height="100%",  # of what the page leaves: chat.css
        buttons=[],
        latex_delimiters=MATH,
        allow_tags=False,
        layout="bubble",
        elem_id=elem_id,
    )


def _question() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(
        value={"text": "", "files": []},
        label=L("chat.input.label"),
        show_label=False,
        container=False,
        placeholder=L("chat.input.placeholder"),
        file_types=None,  # what a file is, its bytes say: backend/chat/attachments.py
        file_count="multiple",
        sources=["upload"],
        max_plain_text_length=ANY_TEXT,
        lines=1,  # with one line Enter sends, and Shift-Enter begins another
        max_lines=12,
        interactive=True,
        elem_id="chat-input",
    )


def _button(name: str, variant: str = "secondary") -> gr.Button:
    """What can be pressed follows the conversation's state, in chat.js."""
    return gr.Button(
        L(f"chat.{name}.label"),
        size="sm",
        variant=variant,
        interactive=True,
        scale=0,
        min_width=40,
        elem_id=f"chat-{name}",
    )


def _settings() -> tuple[gr.Textbox, gr.Slider, gr.Slider, gr.Number, gr.Dropdown, gr.HTML, gr.HTML]:
    default = Sampling()
    with gr.Accordion(L("chat.settings.label"), open=True, elem_id="chat-settings"):
        presets = part("chat", "presets", html_template="")
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
            choices=[(L(f"chat.tools.{name}"), name) for name in NAMES],
            value=[],
            multiselect=True,
            filterable=True,
            label=L("chat.tools.label"),
            info=L("chat.tools.info"),
            interactive=True,
            elem_id="chat-tools",
        )
        options = part("chat", "options", html_template="")
    return system, temperature, top_p, max_tokens, tools, presets, options
