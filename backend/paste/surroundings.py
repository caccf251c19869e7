"""What stands before a command: variables, wrappers, containers. Pure."""

from collections.abc import Sequence

from backend.paste.block import Block
from backend.paste.containers import bind, docker
from backend.paste.programs import APPTAINERS, DOCKERS, RUNNERS, SHELLS, WRAPPERS, program
from backend.paste.variables import ASSIGNMENT, set_variable
from backend.paste.words import Token


def prefix(block: Block, words: Sequence[Token]) -> None:
    if any(program(word.text) in DOCKERS for word in words):
        docker(block, words)
        return
    wrapper = ""
    words = bind(block, words) if any(program(word.text) in APPTAINERS for word in words) else words
    for word in words:
        name = program(word.text)
        if assigned := ASSIGNMENT.fullmatch(word.text):
            set_variable(block, word.start, word.end, assigned[1], assigned[2])
        elif name in ("export", "set", "setx", "setenv"):
            block.accounts.append(block.left(word.start, word.end, "paste.shell"))
        elif name in WRAPPERS | SHELLS:
            wrapper = name
            block.accounts.append(block.left(word.start, word.end, "paste.wrapper"))
        elif name in RUNNERS:
            wrapper = name
            block.accounts.append(block.left(word.start, word.end, "paste.environment"))
        elif wrapper:
            block.accounts.append(block.left(word.start, word.end, "paste.wrapper"))
        else:
            block.accounts.append(block.left(word.start, word.end, "paste.before"))
