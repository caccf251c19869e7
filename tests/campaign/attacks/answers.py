"""What a model writes."""

import random
import re
from html.parser import HTMLParser

from tests.campaign.ground import Broken, Ground, check
from tests.campaign.network import ask, follow, scripted
from tests.support.gradio_calls import Visitor
from tests.support.nasty_answers import PIECES, TABLE

MODEL_TAGS = re.compile("p|br|hr|h[1-6]|ul|ol|li|blockquote|pre|code|table|thead|tbody|tr|th|td|a|em|strong|del")
MODEL_ATTRIBUTES = frozenset({"href", "target", "rel", "align", "value", "class", "lang"})
FENCE = re.compile(r"^(~{8,}) [\w+#.-]*\n(.*?)(?:\n\1$|\Z)", re.MULTILINE | re.DOTALL)
TAGS = (
    "style",
    "form",
    "script",
    "iframe",
    "img",
    "svg",
    "input",
    "base",
    "link",
    "meta",
    "object",
    "dialog",
    "marquee",
)


class Markup(HTMLParser):
    """What a browser would make of an answer's markup; anything but plain formatting is a way to cover the page."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        check(MODEL_TAGS.fullmatch(tag), f"an answer holds <{tag}>")
        check({name for name, _ in attrs} <= MODEL_ATTRIBUTES, f"an answer holds <{tag} {attrs}>")
        for name, value in attrs:
            check(name != "href" or re.match("https?://|mailto:", value or ""), f"an answer links to {value}")

    def handle_comment(self, data: str) -> None:
        raise Broken(f"an answer holds a comment: {data[:80]}")


def hostile_text(rng: random.Random) -> str:
    parts = []
    for _ in range(rng.randint(1, 6)):
        tag = rng.choice(TAGS)
        parts.append(rng.choice([
            f'<{tag} style="position:fixed;inset:0" id="deploy-start" onload=x src=x action="//x">x</{tag}>',
            rng.choice(TABLE)[0], "".join(rng.choices(PIECES, k=20)),
            f"[x](javascript:{tag}) ![y](http://127.0.0.1:1/{tag})",
            f"```{tag} onload=x\n</code><{tag}>\n", f"<{tag}", f"&lt;{tag}&gt;", "\u202e\u0000\x1b[31m",
            "<think>" + tag,
        ]))  # fmt: skip
    return rng.choice(["\n\n", " ", "\n"]).join(parts)


def answers(ground: Ground, rng: random.Random) -> str:
    """Hostile answers, all the way from a server to the page: formatting alone comes out, after a reload too."""
    child, server_id = scripted(ground)
    with Visitor(ground.running) as visitor:
        for _ in range(2):
            text = hostile_text(rng)
            child.script(text=text, rate=0.0, fault="", first_s=0.0)
            ask(visitor, server_id)
            ended, box = follow(visitor.client)
            check(ended, "the stream broke")
            _, again = follow(visitor.client)
            for shown in (box, again):
                for message in shown:
                    if message["role"] == "assistant":
                        for part in message["content"]:
                            if part.get("type") == "text" or "text" in part:
                                markup_is_plain(part["text"])
            ground.snapshot(visitor.client)
    return "2 answers"


def markup_is_plain(markup: str) -> None:
    """Code between fences is taken out first, as the page's renderer does: nothing in it is HTML."""
    page, at = Markup(), 0
    for fence in FENCE.finditer(markup):
        page.feed(markup[at : fence.start()])
        at = fence.end()
    page.feed(markup[at:])
    page.close()
