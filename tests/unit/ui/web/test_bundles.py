"""Modules that come as one file give what they give one by one."""

import json
import re
from pathlib import Path

import pytest

from tests.support.node import run_node
from ui.web.asset_files import FIRST_MODULES, made, modules, tab_module, tabs_with_script
from ui.web.bundles import PAGE, Group, addresses, groups, in_order, linked, without_comments

MODULES = {
    "page/texts.js": "const all = {};\nexport function addTexts(more) {\n  Object.assign(all, more);\n}\n"
    "export const t = (key) => all[key];\n",
    "page/dom.js": "export const el = (name) => `<${name}>`;\nexport class Box {\n  size = 2;\n}\n"
    "export async function wait() {\n  return el('waited');\n}\nconst own = 'dom';\nexport const { a, b: renamed } = "
    '{ a: own, b: "b" };\n',
    "page/bridge.js": 'import { el as make, renamed } from "./dom.js";\nimport { t } from "./texts.js";\n'
    'const own = "bridge";\nexport const mount = () => [make(own), renamed, t("page.text")];\n'
    'export const shown = () => import("./rare.js");\n',
    "page/rare.js": 'import { Box } from "./dom.js";\nimport { helper } from "./rare_helper.js";\n'
    'import { t } from "./texts.js";\nexport const rare = () => [new Box().size, helper(), t("rare.text")];\n',
    "page/rare_helper.js": "function help() {\n  return 'help';\n}\nexport { help as helper };\n",
    "tabs/one/one.js": 'import {\n  Box,\n  wait,\n} from "../../page/dom.js";\nimport * as parts_ from "./part.js";\n'
    'import "./side.js";\nexport const parts = async () => [await wait(), new Box().size, parts_.part, '
    "globalThis.side];\n",
    "tabs/one/part.js": 'import { el } from "../../page/dom.js";\nexport const part = el("part");\n',
    "tabs/one/side.js": 'import { part } from "./part.js";\nglobalThis.side = `side of ${part}`;\n',
}
FIRST, TAB = ("page/bridge.js",), "tabs/one/one.js"


def texts_of(source: str) -> dict[str, str]:
    return {key: f"text of {key}" for key in re.findall(r't\("([\w.]+)"\)', source)}


def test_what_comes_together() -> None:
    assert groups(MODULES, FIRST, [TAB]) == [
        Group(PAGE, ("page/dom.js", "page/texts.js", "page/bridge.js")),
        Group(TAB, ("tabs/one/part.js", "tabs/one/side.js", TAB)),
        Group("page/rare.js", ("page/rare_helper.js", "page/rare.js")),
    ]


def test_only_what_others_import_has_an_address() -> None:
    """``t`` of texts.js among them: what comes later brings texts."""
    made = groups(MODULES, FIRST, [TAB])
    assert addresses(made, MODULES, FIRST) == {
        "page/bridge.js": PAGE, "page/dom.js": PAGE, "page/texts.js": PAGE, TAB: TAB, "page/rare.js": "page/rare.js",
    }  # fmt: skip


def test_they_do_what_the_modules_do(tmp_path: Path) -> None:
    """Run by Node, which is told the addresses as a page's import map would."""
    ask = """
        const page = await import(at("page/bridge.js"));
        const one = await import(at("tabs/one/one.js"));
        const rare = (await page.shown()).rare();
        console.log(JSON.stringify([page.mount(), await one.parts(), rare]));
    """
    made = groups(MODULES, FIRST, [TAB])
    for name, source in MODULES.items():
        _write(tmp_path / "modules" / name, source)
    for group in made:
        _write(tmp_path / "made" / group.name, linked(group, MODULES, FIRST, texts_of))
    told = []
    for folder, known in (("modules", {name: name for name in MODULES}), ("made", addresses(made, MODULES, FIRST))):
        at = (tmp_path / folder).as_uri()
        files = {f"{at}/{name}": f"{at}/{there}" for name, there in known.items()}
        script = f"""
            import {{ registerHooks }} from "node:module";
            const files = {json.dumps(files)};
            const resolve = (asked, context, next) => {{
              const found = next(asked, context);
              return {{ ...found, url: files[found.url] ?? found.url }};
            }};
            registerHooks({{ resolve: (asked, context, next) => {{
              if (!asked.startsWith(".") && !asked.startsWith("file:")) return next(asked, context);
              const url = new URL(asked, context.parentURL).href;
              return {{ url: files[url] ?? url, format: "module", shortCircuit: true }};
            }} }});
            const at = (name) => {json.dumps(at)} + "/" + name;
            {ask}
        """
        done = run_node("--input-type=module", "--eval", script)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    alone, together = told
    assert together[0] == ["<bridge>", "b", "text of page.text"]
    assert together[2] == [2, "help", "text of rare.text"]
    assert alone[1] == together[1] == ["<waited>", 2, "<part>", "side of <part>"]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_cant_be_done_is_said() -> None:
    with pytest.raises(ValueError, match=r"one another: page/a\.js → page/b\.js → page/a\.js"):
        in_order({"page/a.js": 'import "./b.js";\n', "page/b.js": 'import "./a.js";\n'}, ["page/a.js"])
    with pytest.raises(ValueError, match="isn't known: export default"):
        linked(Group("tabs/x/x.js", ("tabs/x/x.js",)), {"tabs/x/x.js": "export default 1;\n"}, ())
    twice = dict.fromkeys(("page/a.js", "page/b.js"), "export const same = 1;\n")
    with pytest.raises(ValueError, match=r"page/a\.js and page/b\.js both give same"):
        linked(Group(PAGE, tuple(twice)), twice, tuple(twice))


def test_comments_with_lines_of_their_own_go() -> None:
    kept = "const a = 1; // one\nconst b = 'https://x'; /** four */\n/** five */ let c;\n"
    more = kept.replace("const b", "  // two\n  /* three */\nconst b")
    assert without_comments(f"/** What\n * it is. */\n{more}  /** six */\n") == kept


@pytest.mark.parametrize("name", sorted(modules()))
def test_no_comment_is_a_texts_line(name: str) -> None:
    """A line in a template that begins like a comment would go with them: none goes over several lines."""
    strings = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
    source = without_comments(modules()[name].read_text(encoding="utf-8"))
    assert [line for line in source.splitlines() if strings.sub("", line).count("`") % 2] == []


def test_the_pages_own_are_scripts(tmp_path: Path) -> None:
    """Every file that is made can be read, and nothing that a module imports is missing in the file that has it."""
    whole = made()
    for name, text in whole.files.items():
        if not name.endswith(".en.js"):
            continue
        path = tmp_path / f"{name.replace('/', '-').removesuffix('.js')}.mjs"
        path.write_text(text, encoding="utf-8")
        done = run_node("--check", str(path))
        assert done.returncode == 0, done.stderr
    sources = {name: without_comments(path.read_text(encoding="utf-8")) for name, path in modules().items()}
    found = groups(sources, FIRST_MODULES, map(tab_module, tabs_with_script()))
    assert sorted(name for group in found for name in group.modules) == sorted(sources)
    assert len({group.name for group in found}) == len(found)
