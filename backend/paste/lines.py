"""A block's lines: those that go on are joined, whatever shell they were written for. Pure.

Every character keeps its place: what joins two lines becomes blanks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PROGRAM = r"(?:lmdeploy|vllm|sglang|ollama|python[\d.]*\s+-m)"
_GOES_ON = re.compile(r"(\S?)([ \t]*)(\\|(?<=[ \t])`|(?<=[ \t])\^)[ \t]*$")
_FLAG = re.compile(r"\s*(?:>\s+)?-{1,2}[A-Za-z]")
_SECOND_PROMPT = re.compile(r"\s*(?:>{1,2}|\.\.\.)\s+")
_HAS_PROGRAM = re.compile(rf"(?<![\w-]){PROGRAM}(?![\w-])", re.IGNORECASE)
_ROOT = re.compile(
    r"^([ \t>]*)#(?=[^\n]*\b(?:lmdeploy|vllm|sglang|ollama)(?:\.exe)?\s+[A-Za-z]"
    r"|[^\n]*-m\s+(?:lmdeploy|vllm|sglang))()",
    re.MULTILINE | re.IGNORECASE,
)
_WANTS_MORE = re.compile(
    r"\blmdeploy(?:\.exe)?\s+(?:(?:serve|lite)\s+\w+|chat(?:\s+(?:turbomind|torch))?)\s*$", re.IGNORECASE
)
_QUOTES = re.compile(rf"(?:^|[\s;|&(])(?:{PROGRAM}|curl|wget)\s", re.IGNORECASE)  # whose values may have several lines
_COMMAND = re.compile(rf"(?<![\w-]){PROGRAM}\s+[A-Za-z]", re.IGNORECASE)
_MOST_QUOTED = 100  # lines
_ITEM = re.compile(r"(\s*-\s+)(?:\"[^\"]*\"|'[^']*'|\S+)\s*$")
# A command and its arguments, as Kubernetes and Compose list them under two keys: what stands between them goes.
_KEY = r"^([ \t]*(?:-[ \t]+)?(?:command|entrypoint)[ \t]*:"
_NEXT_KEY = r"\n[ \t]*(?:args|command)[ \t]*:"
_ARGUMENTS = re.compile(
    rf"{_KEY}[ \t]*\[[^\]\n]*)(\][ \t]*{_NEXT_KEY}[ \t]*\[)"
    rf"|{_KEY}(?:[ \t]*\n[ \t]*-[ \t]+\S+)+[ \t]*)({_NEXT_KEY}[ \t]*(?=\n[ \t]*-[ \t]))",
    re.MULTILINE,
)
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\s*[\w+#.{}=\" -]*$")
_PROMPT = re.compile(
    r"""\s*(?:
      PS(?:\ [^>\n]*)?>+(?=\s|$)                              # PowerShell
    | [A-Za-z]:\\[^>\n|&]*>                                    # cmd
    | \([\w.\-/+ ]{1,60}\)(?=\s+\S)                            # (lmdeploy)
    | \[[\w.\-]+@[^\]\n]{0,100}\]\s*[$\#%]                     # [root@box ~]#
    | [\w.\-]+@[\w.\-]+(?:[:\s]\s*[^\s$\#%>|&;=]+)?\s{0,2}[$\#%>](?=\s|$|lmdeploy)   # root@box:~#
    | (?:ba|z|fi|tc|c|k)?sh[\d.\-]*[$\#%>](?=\s)
    | (?:>>>|\.\.\.)(?=\s|$)
    | (?:In|Out)\s*\[\d*\]:
    | [╭╰┌└│─❯➜λ»›▶•●]+(?=\s|lmdeploy|\w+@)
    | [$%>!]{1,3}(?=\s|lmdeploy|python|CUDA_|pip|conda|ollama|vllm|env\s)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Line:
    """A whole line: ``start`` to ``end`` in the text, what stands before the command (``prompt_end``), whether it is a
    fence. ``breaks`` are where lines were joined."""

    start: int
    end: int
    prompt_end: int
    fence: bool
    breaks: tuple[int, ...] = ()


def join_lines(text: str) -> tuple[str, tuple[Line, ...]]:
    """The text with its line joints as blanks, and its lines that aren't empty."""
    if not any(_HAS_PROGRAM.search(line) for line in text.split("\n") if not line.lstrip(" >").startswith("#")):
        text = _ROOT.sub(r"\1$\2", text)  # no comments then, but root's prompt
    text = _ARGUMENTS.sub(_one_list, text)
    joined, breaks = _joined(text)
    return joined, tuple(_lines(joined, breaks))


def _one_list(found: re.Match[str]) -> str:
    return f"{found[1]},".ljust(len(found[0])) if found[1] else found[3].ljust(len(found[0]))


def _joined(text: str) -> tuple[str, list[int]]:
    lines = text.split("\n")
    out: list[str] = []
    breaks: list[int] = []
    position = 0
    in_list = False
    quoted_to = 0  # the line that a value ends in
    for index, line in enumerate(lines):
        quoted_to = max(quoted_to, _quoted_to(_so_far(out, line), lines, index) if index >= quoted_to else 0)
        if index < quoted_to:
            breaks.append(position + len(line))
            out.append(line + " ")
            position += len(out[-1])
            continue
        item = _ITEM.match(line)
        in_list = bool(item) and (in_list or program_item(line))
        if in_list and item:  # a list of YAML: a word a line
            line = " " * item.end(1) + line[item.end(1) :]
            following_item = _ITEM.match(lines[index + 1]) if index + 1 < len(lines) else None
            end = " " if following_item else "" if index == len(lines) - 1 else "\n"
            if end == " ":
                breaks.append(position + len(line))
            out.append(line + end)
            position += len(out[-1])
            continue
        last = index == len(lines) - 1
        command = _command_so_far(out, line)
        following = next((later for later in lines[index + 1 :] if later.strip()), "")
        mark = None if last else _GOES_ON.search(line)
        end = "\n"
        if mark is not None and line[: mark.start(3)].lstrip().startswith("#"):
            mark = None  # a comment doesn't go on, but what it stands among does
            end = " " if command and _FLAG.match(following) else "\n"
        elif mark is not None:
            line = line[: mark.start(3)] + " " * (len(line) - mark.start(3))
            end = " "
        elif not last and command and not _FENCE.match(line):
            goes_on = _FLAG.match(following) or (_WANTS_MORE.search(command) and not _HAS_PROGRAM.search(following))
            end = " " if goes_on and following and not _FENCE.match(following) else "\n"
        if out and out[-1].endswith(" ") and breaks and breaks[-1] == position - 1:
            second = _SECOND_PROMPT.match(line)
            if second:
                line = " " * second.end() + line[second.end() :]
        if end == " ":
            breaks.append(position + len(line))
        out.append(line + ("" if last else end))
        position += len(out[-1])
    return "".join(out), breaks


def program_item(line: str) -> bool:
    """Whether a list's item is a program's name alone."""
    return bool(re.fullmatch(r"\s*-\s+[\"']?(?:lmdeploy|vllm|sglang)[\"']?\s*", line))


def _quoted_to(command: str, lines: list[str], index: int) -> int:
    """The line in which the quotation mark closes that ``lines[index]`` leaves open, as the end of ``command``; 0 where
    it leaves none open, or where what is quoted are commands of their own."""
    begin = _QUOTES.search(command)
    quote = _open_quote(command[begin.end() :]) if begin else ""
    if not quote:
        return 0
    for later, line in enumerate(lines[index + 1 : index + _MOST_QUOTED], index + 1):
        if _COMMAND.search(line) or _FENCE.match(line):
            return 0
        inside = r"(?:\\.|[^\"\\])*" if quote == '"' else "[^']*"
        if closed := re.match(inside + quote, line):
            return later if re.match(r"[\s;|&)]|$", line[closed.end() :]) else 0
    return 0


def _open_quote(command: str) -> str:
    """The quotation mark that opens a word and isn't closed; "" for none."""
    place, before = 0, " "
    while place < len(command):
        char = command[place]
        if char == "#" and before.isspace():
            return ""
        if char in "\"'":
            close = re.compile(r"(?:\\.|[^\"\\])*" if char == '"' else "[^']*", re.DOTALL).match(command, place + 1)
            end = close.end() if close else len(command)
            if end >= len(command):
                return char if before.isspace() or before == "=" else ""
            place = end
        elif char == "\\":
            place += 1
        before = command[place : place + 1]
        place += 1
    return ""


def _so_far(out: list[str], line: str) -> str:
    """The joined line up to here."""
    so_far = line
    for before in reversed(out):
        if not before.endswith(" ") and before.strip():
            break
        if before.endswith("\n"):
            break
        so_far = before + so_far
    return so_far


def _command_so_far(out: list[str], line: str) -> str:
    """The joined line up to here, where a command stands in it; "" for none."""
    so_far = _so_far(out, line)
    return so_far if _HAS_PROGRAM.search(so_far) else ""


def _lines(text: str, breaks: list[int]) -> Iterator[Line]:
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        if line.strip():
            fence = bool(_FENCE.match(line))
            prompt = start
            while not fence and (found := _PROMPT.match(text, prompt, end)) and found.end() > prompt:
                prompt = found.end()
            inside = tuple(place for place in breaks if start <= place < end)
            yield Line(start, end, prompt, fence, inside)
        start = end + 1
