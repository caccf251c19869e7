"""The ssh lines that a person copies: pure text, made from the login command that a course or a host gives.

A login is kept as it was typed, and read again each time: ``ssh -p 41682 root@ssh.example.com`` gives the line
``ssh -CN -L 23333:127.0.0.1:23333 -p 41682 root@ssh.example.com`` (-L forwards, -N runs nothing, -C compresses).
"""

import re
import shlex
from dataclasses import dataclass

from backend.errors import InvalidInput, Message

FIELD = "deploy-ssh"
PLACEHOLDER_TARGET = "USER@HOST"

# ssh options that take a value (OpenSSH's getopt string); the others stand alone.
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
# What a login may bring along into a forward line: where and as whom to connect, not what to do there.
_KEPT_WITH_VALUE = frozenset("bcFIiJlmop")
_KEPT_ALONE = frozenset("46")
_USER = r"(?:[A-Za-z0-9._+~-]+@)?"
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.%]+\]|[0-9A-Fa-f:]+)"
_TARGET = re.compile(rf"(?:ssh://)?{_USER}{_HOST}(?::\d+)?")
# -o options that make ssh run a program on the person's own computer are never taken over from a pasted line.
_UNSAFE_OPTION = re.compile(
    r"\s*(ProxyCommand|LocalCommand|PermitLocalCommand|KnownHostsCommand|RemoteCommand)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class SshLogin:
    """How to reach the machine: ``options`` as ssh takes them (("-p", "41682")), ``target`` as ``user@host``."""

    target: str
    options: tuple[str, ...] = ()

    def words(self) -> str:
        """Options and target, quoted for a shell."""
        return shlex.join([*self.options, self.target])


def parse_login(text: str) -> SshLogin | None:
    """Read ``ssh -p 41682 root@host``, ``root@host -p 41682``, ``ssh root@host -p 41682 -CNg -L …`` or ``root@host``.

    None for an empty text. Raises InvalidInput where no host can be found in it.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise _invalid(text) from None
    if not words:
        return None
    if words[0].rsplit("/", 1)[-1] in ("ssh", "ssh.exe"):
        words = words[1:]
    target, options = _read_words(words, text)
    if not _TARGET.fullmatch(target):
        raise _invalid(text)
    return SshLogin(target, options)


def forward_line(login: SshLogin | None, port: int, local_port: int | None = None) -> str:
    """The line that brings ``port`` of the machine to the person's own computer."""
    words = login.words() if login is not None else PLACEHOLDER_TARGET
    return f"ssh -CN -L {local_port or port}:127.0.0.1:{port} {words}"


def remote_line(login: SshLogin | None, command: str) -> str:
    """The line that runs one command there and prints what it prints."""
    words = login.words() if login is not None else PLACEHOLDER_TARGET
    return f"ssh {words} {shlex.quote(command)}"


def _read_words(words: list[str], text: str) -> tuple[str, tuple[str, ...]]:
    target = ""
    options: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            if target:
                break  # a command to run there: not part of the login
            target = word
            continue
        for position, letter in enumerate(word[1:], start=1):
            if letter not in _WITH_VALUE:
                if letter in _KEPT_ALONE:
                    options.append(f"-{letter}")
                continue
            value = word[position + 1 :] or next(rest, "")
            if not value:
                raise _invalid(text)
            if letter in _KEPT_WITH_VALUE and not (letter == "o" and _UNSAFE_OPTION.match(value)):
                options += [f"-{letter}", value]
            break
    return target, tuple(options)


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(Message("deploy.error.ssh", {"value": text.strip()}, field=FIELD))
