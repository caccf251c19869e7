"""A block of commands under way: what it said so far, and what became of its words. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from backend.errors import Level, Message, Value
from backend.paste.account import Account, Fate, account, shown
from backend.paste.flags import as_text
from backend.paste.words import Token

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$env:(\w+)|\$(\w+)|%([A-Za-z_]\w*)%", re.IGNORECASE)
PLACEHOLDER = re.compile(
    r"[<>{}]|\$|^\[.*\]$|/path/to\b|\byour[-_ ]|\.\.\.|…|^MODEL(?:_PATH|_NAME|_DIR)?$|路径|模型名", re.IGNORECASE
)


@dataclass(frozen=True)
class Found:
    """One command that the console has something for. ``tab`` is where it belongs, ``values`` are by its settings'
    fields (ServeConfig, QuantConfig; ``login`` and ``address`` for the others).

    ``kind`` is "serve", "lite", "address", "login", "convert", "download" or "advice".
    """

    kind: str
    tab: str
    values: Mapping[str, object]
    accounts: tuple[Account, ...]
    words: str
    start: int = 0


@dataclass
class Block:
    """The reading under way."""

    text: str
    depth: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)  # what `convert` made → what it was made of
    volumes: dict[str, str] = field(default_factory=dict)  # a folder in the container → on the machine
    ports: dict[str, str] = field(default_factory=dict)
    calibrated: dict[str, object] = field(default_factory=dict)
    surroundings: dict[str, object] = field(default_factory=dict)  # by field, from variables
    found: list[Found] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)
    image: str = ""

    def tell(
        self,
        start: int,
        end: int,
        fate: Fate,
        key: str,
        params: Mapping[str, Value] | None = None,
        field: str = "",
        level: Level = "info",
    ) -> None:
        self.accounts.append(account(self.text, start, end, fate, key, params, field, level))

    def left(self, start: int, end: int, key: str, level: Level = "info") -> Account:
        return account(self.text, start, end, "left", key, level=level)

    def covered(self, token: Token) -> bool:
        """Whether its first and its last character have their account, which may be two where it holds two flags."""
        return all(any(said.start <= at < said.end for said in self.accounts) for at in (token.start, token.end - 1))

    def add(self, kind: str, tab: str, values: Mapping[str, object], begin: int, start: int) -> None:
        said = tuple(self.accounts[begin:])
        end = max((a.end for a in said), default=start)
        self.found.append(Found(kind, tab, dict(values), said, shown(self.text[start:end]), start))

    def around(self, tab: str) -> dict[str, object]:
        """What variables and a container's options said, as far as the tab has fields for it."""
        names = ("gpus", "port") if tab == "deploy" else ("mirror",)
        found = {name: self.surroundings[name] for name in names if name in self.surroundings}
        gpus = self.surroundings.get("gpus")
        if tab == "quantize" and isinstance(gpus, list) and gpus:
            found["device"] = f"cuda:{gpus[0]}"
        return found

    def extra_words(self, words: Sequence[Token]) -> None:
        for word in words:
            self.tell(word.start, word.end, "left", "paste.extra_word", level="warning")

    def model(self, values: dict[str, object], word: Token) -> None:
        """The positional word: a folder or a hub's name."""
        given = as_text(word.text).value if self.text[word.start] not in "\"'" else word.text
        given = str(given) or word.text
        place = self.place(given)
        values["model"] = place
        if PLACEHOLDER.search(place):
            del values["model"]
            self.tell(word.start, word.end, "left", "paste.placeholder", {"value": place[:120]}, "model", "warning")
        elif place.lower().endswith(".gguf"):
            del values["model"]
            self.tell(word.start, word.end, "left", "paste.gguf", {"value": place[:120]}, "model", "warning")
        elif place != word.text:
            self.tell(word.start, word.end, "translated", "paste.translated", {"value": place[:120]}, "model")
        else:
            self.tell(word.start, word.end, "taken", "paste.taken", {"value": place[:120]}, "model")
        if place == given and re.fullmatch(r"(?:\./|.*/)?workspace(?:[/_]\w*)?/?", place):
            self.notes.append(Message("paste.workspace", {"value": place[:120]}, "model", "warning"))

    def place(self, path: str) -> str:
        """A path as it is on this machine: of a converted folder its original, of a container's the machine's."""
        bare = path.rstrip("/").removeprefix("./")
        if bare in self.folders:
            self.notes.append(
                Message("paste.converted", {"value": path[:120], "now": self.folders[bare][:120]}, level="info")
            )
            return self.folders[bare]
        for inside, host in sorted(self.volumes.items(), key=lambda pair: -len(pair[0])):
            if path == inside or path.startswith(inside.rstrip("/") + "/"):
                return host.rstrip("/") + path[len(inside.rstrip("/")) :]
        return path

    def advice(self, words: Sequence[Token], key: str, tab: str) -> None:
        begin = len(self.accounts)
        self.tell(words[0].start, words[-1].end, "left", key)
        if tab:
            self.add("advice", tab, {}, begin, words[0].start)

    def substituted(self, text: str) -> str:
        def value(found: re.Match[str]) -> str:
            name = next(group for group in found.groups() if group)
            return self.variables.get(name, self.variables.get(name.upper(), found[0]))

        return _VARIABLE.sub(value, text)

    def filled_in(self, word: Token) -> Token:
        """The word with the block's own variables in it."""
        text = self.substituted(word.text)
        if text == word.text:
            return word
        self.notes.append(Message("paste.variable", {"word": shown(word.text), "value": shown(text)}, level="info"))
        return replace(word, text=text)
