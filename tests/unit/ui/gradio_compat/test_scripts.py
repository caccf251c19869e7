"""Each change to Gradio's scripts: what fails here is what an upgrade of Gradio has changed in its build."""

import json
import re
from collections.abc import Callable

from tests.support.node import run_node
from ui.gradio_compat.scripts import (
    CLOSED,
    COMES_BACK,
    PAGE_SCRIPTS,
    copies_what_is_told,
    going_on,
    keeps_its_direction,
    keeps_what_was_entered,
    loads_when_drawn,
    mended,
    says_what_is_lost,
    says_why_it_was_refused,
    speaks_the_pages_language,
    static_folder,
    stops_counting,
    tells_changes,
    without_handlebars,
)  # fmt: skip
from ui.i18n import Language, t


def test_the_page_script_goes_on_after_a_failed_connection() -> None:
    """Gradio's own would load the page anew and lose the form; one file holds each of the two places."""
    found = {}
    for file in (static_folder() / "assets").glob("*.js"):
        if PAGE_SCRIPTS.fullmatch(f"/assets/{file.name}") and (script := going_on(file.read_text(encoding="utf-8"))):
            found[file.name.partition("-")[0]] = script
    assert set(found) == {"Blocks", "index"}
    back = found["Blocks"].partition("===`connected`?")[2].partition("}catch")[0]
    same, _, another = back.partition("===`changed`&&")
    assert "connection_lost=!1" in same
    assert COMES_BACK in same
    assert "reload" not in same
    assert "window.location.reload()" in another
    assert "Could not parse server response" not in found["index"]
    assert going_on("nothing of it") is None


def test_components_load_when_they_are_drawn() -> None:
    """One file makes them: what is closed has no script, and isn't given one by the step that would; when a tab or a
    part is opened, what is seen then and has none is given it."""
    [(name, script)] = scripts_that(loads_when_drawn).items()
    assert name == "core"
    original = next((static_folder() / "assets").glob("core-*.js")).read_text(encoding="utf-8")
    assert going_on(original) is None
    assert script.count(f".{CLOSED}?null:") == 1
    steps = re.compile(r"postprocess\(\w\)\{this\.root=this\.traverse\(\w,\[(.*?)\]\)\}")
    before, after = steps.findall(original)[0], steps.findall(script)[0]
    assert before.count("=>") == 5
    assert before.endswith(after)
    [load] = re.findall(r"^\w=>(\w+)\(\w,this\.#\w\.api_url\),", before)
    gives = r"{if\(e\.props\.shared_props\.visible&&!e\.component\)"
    assert re.search(rf"function {load}\(e,t\)\{gives}", script)
    assert re.search(rf"function \w+\(e,t\)\{gives}\{{let n=", script.replace(f"function {load}(e,t)", ""))
    assert loads_when_drawn("nothing of it") is None


def scripts_that(change: Callable[[str], str | None]) -> dict[str, str]:
    """Those of Gradio's scripts that this changes, by the beginning of their names, as they are then."""
    found = {}
    for file in (static_folder() / "assets").glob("*.js"):
        if changed := change(file.read_text(encoding="utf-8")):
            assert PAGE_SCRIPTS.fullmatch(f"/assets/{file.name}")
            found[file.name.partition("-")[0]] = changed
    return found


def test_components_are_told_what_changed() -> None:
    """The method as it is changed, : the same status isn't told twice."""
    [script] = scripts_that(tells_changes).values()
    method = re.search(r"update_loading_stati_state\(\)\{let told.*?!1\)\)\)\}", script)
    assert method
    ask = """
        const page = new (class {
          loading_stati = { current: { 1: { status: "pending" }, 2: { status: "pending" } } };
          told = [];
          update_state_cb(id, state, check) { this.told.push([id, state, check]); }
          async METHOD
        })();
        const { current } = page.loading_stati;
        await page.update_loading_stati_state();
        current[1] = { ...current[1] };
        current[2] = { status: "complete" };
        await page.update_loading_stati_state();
        await page.update_loading_stati_state();
        console.log(JSON.stringify(page.told));
    """
    done = run_node("--input-type=module", "--eval", ask.replace("METHOD", method[0]))
    assert done.returncode == 0, done.stderr
    pending, complete = {"loading_status": {"status": "pending"}}, {"loading_status": {"status": "complete"}}
    assert json.loads(done.stdout) == [[1, pending, False], [2, pending, False], [2, complete, False]]


def test_what_was_entered_is_kept() -> None:
    """One file draws what was folded, in a loop that is changed: a component that is there is asked for what it
    holds before it is given its values."""
    [(name, script)] = scripts_that(keeps_what_was_entered).items()
    assert name == "core"
    assert "[`value`,`open`,`selected`]" in script  # what is asked for
    loop = re.search(
        r"for\(let (\w+) of \w+\)if\(this\.(#\w+)\.has\(\1\.id\)\)"
        r"\{await this\.(#\w+)\(\1\.id,\1\);this\.(#\w+)\(\1\)\}", script
    )  # fmt: skip
    assert loop
    _, there, ask, give = loop.groups()
    assert re.search(rf"register_component\(e,t,n\)\{{this\.#\w\.set\(e,t\),this\.{there}\.set\(e,n\)", script)
    assert re.search(rf"async{ask}\(e,t\)\{{let n=this\.{there}\.get\(e\);if\(!n\)return;let r=await n\(\)", script)
    assert re.search(rf"{give}\(e\)\{{let t=\{{\}};for\(let n in e\.props\.shared_props\)", script)
    assert keeps_what_was_entered("nothing of it") is None


def test_html_parts_come_without_handlebars() -> None:
    [(name, script)] = scripts_that(without_handlebars).items()
    assert name == "HTML"
    assert len(script) < 15_000
    assert "Parse error on line" not in script
    assert "default:{compile:text=>text" in script.replace("()=>", "")
    assert re.search(r"\w+\.default\.compile\(\w+\)\(\w+\)", script)
    assert "Error rendering" in script


def test_an_events_time_is_counted_until_it_is_removed() -> None:
    """Its effect has one more, whose end is the end of what it is of: then the count, a frame each, ends."""
    [(name, script)] = scripts_that(stops_counting).items()
    assert name == "statustracker"
    ends = re.search(
        r"(?P<effect>\w+)\(\(\)=>\(\)=>\{(?P<on>\w+)=!1\}\),(?P=effect)\(\(\)=>\{\w+\.status===`pending`", script
    )
    assert ends
    assert re.search(rf"requestAnimationFrame|\w+\(\(\)=>\{{[^{{}}]*,{ends['on']}&&\w+\(\)\}}\)", script)  # the count
    assert stops_counting("nothing of it") is None


def test_an_event_that_is_told_nothing_copies_nothing() -> None:
    [(name, script)] = scripts_that(copies_what_is_told).items()
    assert name == "Blocks"
    method = re.search(r"async set_event_args\(.*?\}(?=async cancel\()", script)
    assert method
    ask = """
        const page = new (class {
          asked = [];
          async get_state_cb(id) { this.asked.push(id); return { value: 7, index: 1 }; }
          async update_state_cb(id, state) { this.asked.push([id, state]); }
          METHOD
        })();
        (await page.set_event_args(1, {}))();
        (await page.set_event_args(2, { index: 3 }))();
        console.log(JSON.stringify(page.asked));
    """
    done = run_node("--input-type=module", "--eval", ask.replace("METHOD", method[0]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2, [2, {"index": 3}], [2, {"index": 1}]]


def test_a_message_keeps_its_direction() -> None:
    [(name, script)] = scripts_that(keeps_its_direction).items()
    assert name == "Index"
    assert not re.search(r"(\w+)\.dir=\1\.dir", script)
    assert re.search(r"`dir`,\w+\.rtl\?`rtl`:`ltr`", script)  # which it is given at first


LANGUAGE_OF: dict[str, Language] = {"en": "en", "zh-CN": "zh"}


def in_page(lang: str, expression: str) -> object:
    """What that expression in a script is on a page in that language."""
    ask = f"globalThis.document = {{documentElement: {{lang: '{lang}'}}}}; console.log(JSON.stringify({expression}))"
    done = run_node("--eval", ask)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_lost_connection_is_said_in_the_pages_language() -> None:
    [(name, script)] = scripts_that(says_what_is_lost).items()
    assert name == "Blocks"
    [said] = re.findall(r"title:`Connection Lost`,message:((?:(?!,fn_index).)*),fn_index:-1", script)
    for lang, language in LANGUAGE_OF.items():
        assert in_page(lang, said) == t("common.toast.lost", language)
    assert says_what_is_lost("nothing of it") is None


def test_gradios_own_windows_speak_the_pages_language() -> None:
    [(name, script)] = scripts_that(speaks_the_pages_language).items()
    assert name == "statustracker"
    [heading] = re.findall(r"=>\((\{error:.*?\[t\.type\])\?\?t\.type\)", script)
    [close] = re.findall(r'aria-label="\$\{((?:(?!aria-label).)*?)\}" data-testid="toast-close"', script)
    levels = ("error", "warning", "info")
    for lang, language in LANGUAGE_OF.items():
        said = in_page(lang, f"{json.dumps(levels)}.map((type) => ((t) => ({heading}))({{type}}))")
        assert said == [t(f"common.toast.{level}", language) for level in levels]
        assert in_page(lang, close) == t("common.close", language)
    assert "An error occurred" not in script
    assert speaks_the_pages_language("nothing of it") is None


def test_a_refused_event_says_why() -> None:
    """The guard's answer, {"messages": […]}: in both ways that an event goes."""
    [(name, script)] = scripts_that(says_why_it_was_refused).items()
    assert name == "index"
    assert len(re.findall(r"(\w)\.error\|\|\1\.messages\?\.join\(` `\),(?:queue|visible):", script)) == 2
    assert says_why_it_was_refused("nothing of it") is None


def test_a_script_is_mended_in_all_its_places() -> None:
    assert set(scripts_that(mended)) == {"Blocks", "HTML", "Index", "core", "index", "statustracker"}
    assert "told_stati" in scripts_that(mended)["Blocks"]
    assert COMES_BACK in scripts_that(mended)["Blocks"]


def test_gradios_page_is_where_the_console_writes_its_head() -> None:
    """ui/web/html_head.py puts its own right behind <head> and before </head>, and changes the language."""
    page = (static_folder() / "index.html").read_text(encoding="utf-8")
    assert page.count("<head>") == page.count("</head>") == 1
    assert 'lang="en"' in page
