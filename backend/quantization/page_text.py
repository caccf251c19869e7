"""The text of a web page, and of what books and office documents hold: HTML and XML. Pure."""

import re
from html.parser import HTMLParser


class _Page(HTMLParser):
    """What of a page a person reads."""

    BLOCKS = frozenset({
        "p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "pre", "blockquote",
        "dt", "dd", "title", "w:p", "w:br", "text:p", "text:h",
    })  # fmt: skip
    UNREAD = frozenset({"script", "style", "template", "noscript", "w:instrtext", "svg"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unread += tag in self.UNREAD
        if tag in self.BLOCKS:
            self.parts.append("\n")
        elif tag in ("w:tab", "td", "th", "text:tab", "text:s"):
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.handle_starttag(tag, attrs)
        self._unread -= tag in self.UNREAD

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in self.UNREAD))
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.parts.append(data)


def page_text(source: str) -> str:
    """A page's text, a line for each of its paragraphs."""
    page = _Page()
    page.feed(re.sub(r"^<\?xml[^>]*\?>", "", source.lstrip()))
    page.close()
    lines = (re.sub(r"[ \t\xa0]+", " ", line).strip() for line in "".join(page.parts).split("\n"))
    return "\n".join(line for line in lines if line)
