"""Where Gradio and the page's script meet: Gradio owns forms, the script owns everything live.

Each tab (and the header) has one bridge, a component without a face. What one side has to tell the other has a name:

    part(area, name)            an element that the script fills (ui/tabs/<area>/<area>.js: ``parts``)
    bridge(area, events)        the tab's bridge: ``bridge.<event>`` is a Gradio event that the script sets off, its
                                value is what script and handlers share (the chosen server's id)
    hear(area, event)           for ``js=``: a Gradio event tells the script (``events``), with the event's inputs; what
                                the script answers goes into the event's outputs

Gradio → script doesn't go by the bridge's value: of two changes of one moment ``watch`` tells only the last one. So
``hear`` calls ui/page/bridge.js itself.
"""

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

# The scripts aren't on the page yet, or their request failed: then they are asked for again. Gradio makes functions of
# these strings, in which a relative address would be relative to Gradio's own files.
_LOAD = (
    'const load = () => import(new URL("./console/assets/page/bridge.js", document.baseURI).href)'
    ".catch(() => new Promise((again) => setTimeout(again, 1000)).then(load));"
)


def part(area: str, name: str, **component: Any) -> gr.HTML:
    """``{area}-{name}``: an element that the page's script fills and, where it has a value, follows."""
    return gr.HTML(elem_id=f"{area}-{name}", js_on_load=_mount(area, name), **component)


def bridge(area: str, *events: str, options: Mapping[str, Any] | None = None) -> gr.HTML:
    """``{area}-bridge``: the script tells ``events``; ``options`` are what the script gets to know at its start."""
    return gr.HTML(
        value="",
        elem_id=f"{area}-bridge",
        html_template="",
        js_on_load=_mount(area, "bridge", {**(options or {}), "events": events}),
        visible="hidden",
    )


def hear(area: str, event: str) -> str:
    """``js=`` of a Gradio event that the script is told of."""
    heard = f"hear({json.dumps(area)}, {json.dumps(event)}, values)"
    return f"async (...values) => {{ {_LOAD} return (await load()).{heard}; }}"


def _mount(area: str, name: str, options: Mapping[str, Any] | None = None) -> str:
    """``js_on_load``. Gradio offers an event of a gr.HTML where its name stands in this text, in quotes."""
    gradio = f"{{element, trigger, props, watch, options: {json.dumps(options or {})}}}"
    return f"{_LOAD} load().then(({{mount}}) => mount({json.dumps(area)}, {json.dumps(name)}, {gradio}));"
