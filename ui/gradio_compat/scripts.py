"""Gradio's half in the browser: its page and its scripts as the console sends them (see the package)."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ui.i18n import LANGUAGES, t

# Gradio's page is told the types of all handlers' arguments, and each component's three times more: 0.2 MB for a page
# about the API, which the console doesn't show.
_CONFIG, _API_INFO = "window.gradio_config = ", "window.gradio_api_info = "
_FRAME_SCRIPT = re.compile(r"<script>(?:(?!</script>).)*iframeResizer(?:(?!</script>).)*</script>\s*", re.DOTALL)
_NOT_DRAWN = ("api_info", "api_info_as_input", "api_info_as_output", "example_inputs", "skip_api")


def slim(page: str, locale: str) -> str:
    """Gradio's page without what it draws nothing of, and with the texts of that language alone."""

    def drawn(config: Any) -> Any:
        for component in config.get("components", ()):
            for name in _NOT_DRAWN:
                component.pop(name, None)
        texts = config.get("i18n_translations") or {}
        return config | ({"i18n_translations": {locale: texts[locale]}} if locale in texts else {})

    page = _with_value(_FRAME_SCRIPT.sub("", page), _CONFIG, drawn)
    return _with_value(page, _API_INFO, lambda _: {"named_endpoints": {}, "unnamed_endpoints": {}})


def theme_address(page: str) -> str:
    """The address of the theme's style, for which the page asks behind all scripts; "" where it isn't told."""
    return f"./theme.css?v={found[1]}" if (found := re.search(r'"theme_hash":"(\w+)"', page)) else ""


def _with_value(page: str, before: str, change: Callable[[Any], Any]) -> str:
    """The page with another value in a script's assignment; as it is where there is none."""
    place = page.find(before)
    if place < 0:
        return page
    start = place + len(before)
    try:
        value, end = json.JSONDecoder().raw_decode(page, start)
    except ValueError:
        return page
    kept = json.dumps(change(value), ensure_ascii=False, separators=(",", ":"))
    return page[:start] + kept.replace("<", "\\u003c") + page[end:]


# When a request of an event fails, Gradio's page handles no event any more, says so, and asks until it gets an answer;
# then it loads itself anew, and what a person had typed and chosen is gone. Here it goes on instead, takes its words
# back, and tells the page's scripts. Where another page answers (another version's: see Page.known_by) it still loads
# itself: its numbers mean something else there.
_RELOADS = re.compile(
    r"(?P<says>function \w+\(\)\{(?P<unsay>\w+\(\w+,\w+\(\w+\)\.filter\(\w+=>\w+\.type!==`error`\),!0\)),"
    r"[^{}]*\{[^{}]*\}\),\w+=setInterval\(async\(\)=>\{try\{let \w+=await [\w.]+\.reconnect\(\);)"
    r"\((?P<state>\w+)===`connected`\|\|(?P=state)===`changed`\)"
    r"&&\((?P<done>clearInterval\(\w+\),\w+=null),window\.location\.reload\(\)\)"
    r"(?P<rest>\}catch\(\w+\)\{console\.debug\(\w+\)\}\},2e3\)\}let (?P<events>\w+)=new )"
)
# A reply of which a part came is no reply: to Gradio's client it is an error like any other, and the event is lost.
_UNREADABLE = re.compile(
    r"(?P<gone>catch\{return\[\{error:(?P<lost>\w+)\},500\]\}let \w+,\w+;try\{\w+=await \w+\.json\(\),\w+=\w+\.status\}"
    r"catch)\(\w+\)\{(?P<reply>\w+)=\{error:`Could not parse server response: \$\{\w+\}`\}"
)
PAGE_SCRIPTS = re.compile(r"/assets/(?:Blocks|index|core|HTML|statustracker|Index)-[\w-]+\.js")  # where these stand
COMES_BACK = "console-back"  # the event that ui/page/bridge.js hears


def going_on(script: str) -> str | None:
    """A script of Gradio's page so that the page goes on after a failed connection; None where it has no part in it."""

    def no_reload(found: re.Match[str]) -> str:
        part = found.groupdict()
        again = f"{part['done']},{part['events']}.connection_lost=!1,{part['unsay']}"
        told = f"window.dispatchEvent(new Event(`{COMES_BACK}`))"
        state, done = part["state"], part["done"]
        return (
            f"{part['says']}{state}===`connected`?({again},{told})"
            f":{state}===`changed`&&({done},window.location.reload()){part['rest']}"
        )

    def lost(found: re.Match[str]) -> str:
        return f"{found['gone']}{{{found['reply']}={{error:{found['lost']}}}"

    script, reloads = _RELOADS.subn(no_reload, script)
    script, unreadable = _UNREADABLE.subn(lost, script)
    return script if reloads + unreadable == 1 else None


# Each component's script is asked for when the page is made, those of closed tabs and folded parts too: a third of the
# first page's bytes. Gradio's page loads what was hidden once it is to be drawn; so what ui/page/start.js has marked as
# CLOSED is made without its script, like what is hidden, and isn't given it in the first of the steps that follow.
CLOSED = "closed"
_AT_ONCE = re.compile(
    r"(?P<hidden>=\w+\.shared_props\.visible===!1)(?P<load>\?null:\w+\((?P<node>\w+)\.type,\w+\.component_class_id,)"
)
_STEPS = re.compile(r"\[\w+=>\w+\(\w+,this\.#\w+\.api_url\),((?:\w+=>[\w.]+\([\w.,#]*\),?){4})\]")


def loads_when_drawn(script: str) -> str | None:
    """The script that makes the page's components so that it loads what is drawn alone; None for another script."""
    script, at_once = _AT_ONCE.subn(rf"\g<hidden>||\g<node>.{CLOSED}\g<load>", script)
    script, steps = _STEPS.subn(r"[\1]", script)
    return script if at_once == steps == 1 else None


# At each message of an event the page tells every component that any event names how the event stands, and walks the
# whole page for each. Here those alone are told for which it changed.
_TELLS_ALL = re.compile(
    r"(?P<name>update_loading_stati_state\(\)\{)await Promise\.all\("
    r"(?P<all>Object\.entries\(this\.loading_stati\.current\))"
    r"(?P<tell>\.map\(\(\[\w+,\w+\]\)=>this\.update_state_cb\(Number\(\w+\),\{loading_status:\w+\},!1\)\))\)\}"
)


def tells_changes(script: str) -> str | None:
    """The script that tells components how events stand, so that it tells what changed; None for another script."""
    script, found = _TELLS_ALL.subn(
        r"\g<name>let told=this.told_stati??=new Map;"
        r"await Promise.all(\g<all>.filter(([id,status])=>{let words=JSON.stringify(status);"
        r"return told.get(id)!==words&&told.set(id,words)})\g<tell>)}",
        script,
    )
    return script if found == 1 else None


# When a fold or a tab is opened first, what is in it is made with its values, and given all of them a second time some
# frames later: what a person (or a browser that fills in forms) has entered by then is gone. Here each one that is
# there is asked for what it holds before; one that isn't yet will be made with them.
_ASKS = re.compile(
    r"async(?P<ask>#\w+)\(\w+,\w+\)\{let (?P<get>\w+)=this\.(?P<there>#\w+)\.get\(\w+\);if\(!(?P=get)\)return;"
)
_GIVES_AGAIN = re.compile(
    r"(?P<drawn>async render_previously_invisible_children\((?:(?!\}\}).)*?"
    r"for\(let (?P<node>\w+) of \w+\))(?P<give>this\.#\w+\((?P=node)\))"
)


def keeps_what_was_entered(script: str) -> str | None:
    """The script that draws what was folded so that it keeps what was entered meanwhile; None for another script."""
    asks = _ASKS.search(script)
    if asks is None:
        return None
    keeps = f"if(this.{asks['there']}.has(\\g<node>.id)){{await this.{asks['ask']}(\\g<node>.id,\\g<node>);\\g<give>}}"
    script, found = _GIVES_AGAIN.subn(rf"\g<drawn>{keeps}", script)
    return script if found == 1 else None


# gr.HTML's script is Handlebars for three quarters, which compiles every part's template anew with each value; no
# template here has anything for it ("{{"): what JavaScript's own templates do ("${value}") stays.
_HANDLEBARS = re.compile(
    r"var \w+=\w+\(\(?\w+=>\{\w+\.__esModule=!0,\w+\.extend=.*?(?=,\w+=new Map,\w+=\w+\(`<div class=\"error-container)",
    re.DOTALL,
)


def without_handlebars(script: str) -> str | None:
    """gr.HTML's script without it; None for another script."""
    used = re.findall(r"\b(\w+)\.default\.compile\(\w+\)\(\w+\)", script)
    script, found = _HANDLEBARS.subn(lambda _: f"var {''.join(used)}={{default:{{compile:text=>()=>text}}}}", script)
    return script if found == len(used) == 1 else None


# Gradio's page is made twice before it is drawn, the second time for a developer's changes, of which there are none;
# and for each component it looks through all targets of all events.
_MAKES_TWICE = re.compile(r"(?P<count>\{\w+\(\)),(?P<again>\w+\(\(\)=>\{\w+\.reload\(\w+\.components,)")
_LOOKS_THROUGH = re.compile(
    r"(?P<name>find_attached_events\((?P<node>\w),(?P<events>\w)\)\{let \w=)"
    r"(?P=events)\.filter\(\w=>\w\.targets\.find\(\(\[\w\]\)=>\w===(?P=node)\.id\)\)"
    r"\.map\(\w=>\{let \w=\w\.targets\.find\(\(\[\w\]\)=>\w===(?P=node)\.id\);return \w\?\w\[1\]:null\}\)"
    r"\.filter\(Boolean\)"
)


def makes_once(script: str) -> str | None:
    """The script that makes the page so that it does so once; None for another script."""
    script, found = _MAKES_TWICE.subn(r"\g<count>&&\g<again>", script)
    return script if found == 1 else None


def knows_its_events(script: str) -> str | None:
    """The script that finds each component's events so that it looks through them once; None for another script."""

    def by_target(found: re.Match[str]) -> str:
        node, events = found["node"], found["events"]
        return (
            f"{found['name']}(this.events_seen!==({events})&&(this.events_seen={events},this.events_of=new Map,"
            f"{events}.forEach(event=>new Map([...event.targets].reverse()).forEach((name,id)=>"
            "this.events_of.set(id,[...this.events_of.get(id)??[],name])))),"
            f"(this.events_of.get({node}.id)??[]).filter(Boolean))"
        )

    script, found = _LOOKS_THROUGH.subn(by_target, script)
    return script if found == 1 else None


# What shows how long an event has taken counts in every frame until the event has ended. Where it is removed before (as
# the word "Loading" of the page itself is) it counts on: each page made 60 frames a second, for ever.
_COUNTS_ON = re.compile(
    r"(?P<stops>function \w+\(\)\{\w+\(\w+,\w+\(\w+,null\),!0\),(?P<on>\w+)&&=!1\})"
    r"(?P<effect>\w+)(?P<rest>\(\(\)=>\{\w+\.status===`pending`\?)"
)


def stops_counting(script: str) -> str | None:
    """The script of what shows an event's time so that it ends with it; None for another script."""
    script, found = _COUNTS_ON.subn(r"\g<stops>\g<effect>(()=>()=>{\g<on>=!1}),\g<effect>\g<rest>", script)
    return script if found == 1 else None


# What an event is told of the component that it comes from is put there for as long as it runs, and all that the
# component holds is copied first; most events are told nothing.
_COPIES = re.compile(r"(?P<name>async set_event_args\(\w,(?P<told>\w)\)\{)(?P<copy>let \w+=\{\})")


def copies_what_is_told(script: str) -> str | None:
    """The script that runs events so that it copies nothing where one is told nothing; None for another script."""
    script, found = _COPIES.subn(r"\g<name>if(Object.keys(\g<told>).length===0)return()=>{};\g<copy>", script)
    return script if found == 1 else None


# Each time a message grows its direction is set anew, as it is: the browser reads the styles of all that is in it, and
# lays it out. (It is needed where the direction is the text's own; here it is the page's.)
_TURNS = re.compile(r"(?P<before>[`\"]text-align[`\"]:\w+\.rtl\?`right`:`left`\}\)),(?P<row>\w+)\.dir=(?P=row)\.dir\}")


def keeps_its_direction(script: str) -> str | None:
    """The script of a conversation's messages so that they keep their direction; None for another script."""
    script, found = _TURNS.subn(r"\g<before>}", script)
    return script if found else None


# What Gradio's page says by itself is English in every language: that the connection is lost (it takes no event until
# that is back), and in the window that says so the heading, the cross and what stands for an error without a word.
_LOST = re.compile(r"(title:`Connection Lost`,message:)\w+")
_HEADING = re.compile(r"(?P<type>\w+\.type)\.charAt\(0\)\.toUpperCase\(\)\+(?P=type)\.slice\(1\)")
_WORDLESS, _CROSS = "`An error occurred.`", 'aria-label="Close" data-testid="toast-close"'
_LEVELS = ("error", "warning", "info")


def says_what_is_lost(script: str) -> str | None:
    """The script that says that the connection is lost so that it does so in the page's language; None for another."""
    script, found = _LOST.subn(lambda words: words[1] + _said("common.toast.lost"), script)
    return script if found == 1 else None


def speaks_the_pages_language(script: str) -> str | None:
    """The script of those windows so that they speak the page's language; None for another script."""
    if not script.count(_WORDLESS) == script.count(_CROSS) == 1:
        return None
    headings = ",".join(f"{level}:{_said(f'common.toast.{level}')}" for level in _LEVELS)
    script, found = _HEADING.subn(lambda type_: f"({{{headings}}}[{type_[1]}]??{type_[1]})", script)
    close = f'aria-label="${{{_said("common.close")}}}" data-testid="toast-close"'
    script = script.replace(_WORDLESS, _said("common.toast.wordless")).replace(_CROSS, close)
    return script if found == 1 else None


def _said(key: str) -> str:
    """The expression in a script that is that text in the page's language."""
    said = json.dumps({language: t(key, language) for language in LANGUAGES})
    return f"{said}[document.documentElement.lang.slice(0,2)]"


# An event that the console's guard refuses says why in its own form, in which Gradio's client finds no word; and what
# an event without a queue says isn't shown at all.
_WITHOUT_WORDS = re.compile(r"(?P<asks>\b\w\.detail\|\||message:)(?P<reply>\w)\.error(?P<shown>,queue:|(?=,broken:))")


def says_why_it_was_refused(script: str) -> str | None:
    """Gradio's client so that both are said; None for another script."""

    def with_words(found: re.Match[str]) -> str:
        asks, reply, shown = found.groups()
        return f"{asks}{reply}.error||{reply}.messages?.join(` `){shown or ',visible:!0'}"

    if ",broken:" not in script:
        return None
    script, found = _WITHOUT_WORDS.subn(with_words, script)
    return script if found == 2 else None


def mended(script: str) -> str | None:
    """A script of Gradio's page with all that is changed in it here; None where nothing is."""
    changed = script
    for change in (
        going_on, loads_when_drawn, tells_changes, keeps_what_was_entered, makes_once, knows_its_events,
        without_handlebars, stops_counting, copies_what_is_told, keeps_its_direction,
        says_what_is_lost, speaks_the_pages_language, says_why_it_was_refused,
    ):  # fmt: skip
        changed = change(changed) or changed
    return changed if changed != script else None


def unused_scripts() -> list[Path]:
    """Gradio's scripts that every page loads and none here runs: hls.js, for streams of video, came with each first
    page and was a quarter of its bytes (the conversation's component can show videos; the console has none)."""
    return sorted((static_folder() / "assets").glob("hls-*.js"))


def stub_of(script: str) -> str:
    """A module with the same exports, which do nothing; what they are called with has no stream in it."""
    exported = re.findall(r"[\w$]+ as ([\w$]+)", script[script.rindex("export{") :])
    return f"const none = () => undefined;\nexport {{ {', '.join(f'none as {name}' for name in exported)} }};\n"


def static_folder() -> Path:
    """Where Gradio keeps the scripts and styles of its page."""
    return Path(gr.__file__).parent / "templates" / "frontend"
