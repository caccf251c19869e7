"""The ssh lines that a person copies: pure text, made from the login command that a course or a host gives.

A login is kept as it was typed, and read again each time: ``ssh -p 41682 root@ssh.example.com`` gives the line
``ssh -CN -L 23333:127.0.0.1:23333 -p 41682 root@ssh.example.com`` (-L forwards, -N runs nothing, -C compresses).
"""

import ipaddress
import re
import shlex
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.errors import InvalidInput, Message
from backend.store import Store

FIELD = "deploy-ssh"
AREA, KEY = "setting", "ssh_login"  # where the store keeps the login
PLACEHOLDER_TARGET = "USER@HOST"

# ssh options that take a value (OpenSSH's getopt string), and those that stand alone.
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
_ALONE = frozenset("1246AaCfGgKkMNnqsTtVvXxYy")
# What a login may bring along into a forward line: where and as whom to connect, not what to do there.
_KEPT_WITH_VALUE = frozenset("bciJlmop")
_KEPT_ALONE = frozenset("46")
_RUNS_PROGRAMS = frozenset("FI")  # a configuration and a library of the paste's choosing
# -o options that are taken over; all others are left out, for some run a program on the person's own computer.
_KEPT_OPTIONS = frozenset({
    "addressfamily", "batchmode", "bindaddress", "bindinterface", "casignaturealgorithms", "checkhostip", "ciphers",
    "compression", "connectionattempts", "connecttimeout", "exitonforwardfailure", "globalknownhostsfile",
    "gssapiauthentication", "hostkeyalgorithms", "hostkeyalias", "hostname", "identitiesonly", "identityfile",
    "ipqos", "kbdinteractiveauthentication", "kexalgorithms", "loglevel", "macs", "numberofpasswordprompts",
    "passwordauthentication", "port", "preferredauthentications", "proxyjump", "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes", "pubkeyauthentication", "requiredrsasize", "serveralivecountmax",
    "serveraliveinterval", "stricthostkeychecking", "tcpkeepalive", "updatehostkeys", "user", "userknownhostsfile",
    "verifyhostkeydns",
})  # fmt: skip
_NOT_FOR_LOGIN = frozenset({"localforward", "remoteforward", "dynamicforward", "forwardagent", "forwardx11", "tag"})
_OPTION = re.compile(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(\S.*?)\s*")
_USER = re.compile(r"[A-Za-z0-9._+~][A-Za-z0-9._+~@#/=\\-]*")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_DASHES = str.maketrans("‐‑‒–—―−﹣", "--------")
_DOUBLE, _SINGLE = "“”„‟「」『』", "‘’‚‛"
_QUOTES = str.maketrans(_DOUBLE + _SINGLE, '"' * len(_DOUBLE) + "'" * len(_SINGLE))
# The word ssh, wherever a prompt, a label, a path or another command stands before it.
_SSH = re.compile(r"""(?:^|[\s:;|&(>$#%"'`/\\])ssh(?:\.exe)?["']?(?:\s+|$)""", re.IGNORECASE)
_PROMPT = re.compile(r"^(?:PS [^>]*>|[A-Za-z]:\\[^>]*>|\S+@\S+[:~ ]\S*[$#]\s|[$#%>❯]\s)\s*")
_END = " \t,;.。，；、"
_DOMAIN = re.compile(r"[\w.]\\[\w.-]+@")  # DOMAIN\user@host
_WINDOWS = re.compile(r"[A-Za-z]:\\|\\[\w.]+\\")
_CONFIG = re.compile(r"^\s*(?:Host|HostName)(?:[ \t]+|\s*=\s*)\S", re.MULTILINE | re.IGNORECASE)
_LABEL = re.compile(
    r"(?:^|[\s,;])(?:(?P<host>host ?name|host|server|ip|主机名|主机地址|主机|服务器|地址)|(?P<port>port|端口号|端口)"
    r"|(?P<user>user ?name|user|login|用户名|用户|账号|帐号))\s*[:=]\s*(?P<value>[^\s,;]+)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"[<>{}…]|\.\.\.|\$\w|^(?:.*@)?(?:HOST|HOSTNAME|HOST_?IP|SERVER|IP|ADDRESS|PORT|x+(?:\.x+)+)(?::.*)?$"
    r"|^(?:USER|USERNAME)@|(?:^|@)(?i:your)[-_ .]?\w|^\[(?:port|user|host)\]|:(?:PORT|port)$|端口|主机|用户名"
)
_PORT_WORD = re.compile(r"(?<!-o)\s(?:port|端口号|端口)\s*[:=]?\s*(\d+)\b", re.IGNORECASE)
_SHOWN = 200  # characters of a text in a message


@dataclass(frozen=True)
class SshLogin:
    """How to reach the machine: ``options`` as ssh takes them (("-p", "41682")), ``target`` as ``user@host``.

    ``left_out`` are the options that weren't taken over because they could run a program.
    """

    target: str
    options: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=(), compare=False)

    def words(self) -> str:
        """Options and target, quoted for a shell."""
        return shlex.join([*self.options, self.target])


def parse_login(text: str) -> SshLogin | None:
    """Read a login as courses and hosts give it: a whole ssh command, ``root@host:port``, ``root@host port``, an
    ``ssh://`` address, a block of ssh's configuration, "host: … port: …", with prompts and quotes around.

    None for an empty text. Raises InvalidInput where no host can be found in it, or a placeholder stands in it.
    """
    plain = _plain(text)
    if not plain:
        return None
    if _CONFIG.search(plain) and not _SSH.search(plain):
        return _read_config(plain, text)
    lines = [line for line in plain.splitlines() if line.strip(_END)]
    commands = [line for line in lines if _SSH.search(line) or "ssh://" in line]
    if not commands and (labelled := _read_labels(plain, text)):
        return labelled
    error: InvalidInput | None = None
    for line in commands or lines:
        try:
            return _read_line(line, text)
        except InvalidInput as found:
            error = error or found
    raise error or _invalid(text)


def forward_line(login: SshLogin | None, port: int, local_port: int | None = None) -> str:
    """The line that brings ``port`` of the machine to the person's own computer."""
    words = login.words() if login is not None else PLACEHOLDER_TARGET
    return f"ssh -CN -L {local_port or port}:127.0.0.1:{port} {words}"


def remote_line(login: SshLogin | None, command: str) -> str:
    """The line that runs one command there and prints what it prints."""
    words = login.words() if login is not None else PLACEHOLDER_TARGET
    return f"ssh {words} {shlex.quote(command)}"


class _Words:
    """What the words of a command say, word by word; of what is given twice the first counts, as for ssh."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.target = ""
        self.options: list[str] = []
        self.left_out: list[str] = []
        self.rest: list[str] = []

    def read(self, words: Sequence[str]) -> None:
        """The words behind ``ssh``. What follows the target and is no option is the command to run there."""
        waiting = iter(words)
        for word in waiting:
            if word == "--":  # no options behind it
                continue
            if not word.startswith("-") or word == "-":
                if self.target:
                    self.rest = [word, *waiting]
                    return
                self.target = word
                continue
            for position, letter in enumerate(word[1:], start=1):
                if letter in _WITH_VALUE:
                    self.option(letter, word[position + 1 :] or next(waiting, ""))
                    break
                if letter not in _ALONE:
                    raise _invalid(self._text)
                if letter in _KEPT_ALONE:
                    self.options.append(f"-{letter}")

    def option(self, letter: str, value: str) -> None:
        """One option with its value."""
        value = value.strip()
        if not value or any(not c.isprintable() for c in value):
            raise _invalid(self._text)
        if letter in _RUNS_PROGRAMS:
            self.left_out.append(f"-{letter} {value}")
        elif letter == "P" and value.isdecimal():  # scp's letter for the port; ssh's -P is a tag, which isn't a number
            self._keep("p", value)
        elif letter == "o":
            self._long_option(value)
        elif letter in _KEPT_WITH_VALUE:
            self._keep(letter, value)

    def _long_option(self, text: str) -> None:
        match = _OPTION.fullmatch(text)
        name = match[1].lower() if match else ""
        if match is None or name not in _KEPT_OPTIONS:
            self.left_out.append(f"-o {text}")
            return
        letter = {"port": "p", "user": "l", "identityfile": "i", "proxyjump": "J"}.get(name, "")
        value = match[2].strip("\"'")
        if letter:
            self._keep(letter, value)
        elif not value or (name == "hostname" and not _is_host(value)):
            raise _invalid(self._text)
        else:
            self.options += ["-o", f"{match[1]}={value}"]

    def _keep(self, letter: str, value: str) -> None:
        if letter in "plJ" and _PLACEHOLDER.search(value):
            raise _placeholder(self._text, value)
        if not value or value.startswith("-"):
            raise _invalid(self._text)
        if letter == "p":
            value = _port(value, self._text)
        elif letter == "l" and not _USER.fullmatch(value):
            raise _invalid(self._text)
        elif letter == "J" and value.lower() != "none":
            for jump in value.split(","):
                _read_target(jump, self._text)
        elif letter == "i" and _WINDOWS.search(value):
            value = value.replace("\\", "/")  # OpenSSH for Windows takes both; a slash needs no quotes in any shell
        flag = f"-{letter}"
        if letter == "i" or flag not in self.options:
            self.options += [flag, value]

    def login(self) -> SshLogin:
        """The login, checked."""
        user, host, port = _read_target(self.target, self._text)
        if port and "-p" not in self.options:
            self.options += ["-p", port]
        return SshLogin(f"{user}@{host}" if user else host, tuple(self.options), tuple(self.left_out))


def _plain(text: str) -> str:
    """Without what word processors and chats put in place of ASCII; lines that go on are one."""
    normal = unicodedata.normalize("NFKC", text.translate(_DASHES).translate(_QUOTES))
    normal = "".join(c for c in normal if c.isprintable() or c in "\n\r\t")
    normal = re.sub(r"[ \t]+[\\`^][ \t]*\r?\n", " ", normal).strip()
    while len(normal) > 1 and normal[0] in "\"'`" and normal[0] == normal[-1]:
        normal = normal[1:-1].strip("`").strip()
    return normal


def _read_line(line: str, text: str) -> SshLogin:
    command = _SSH.search(line)
    shown = line[command.end() :] if command else _PROMPT.sub("", line.strip())
    if command and command[0][0] in "\"'`" and not command[0].rstrip().endswith(command[0][0]):
        shown = shown.rstrip(_END).removesuffix(command[0][0])  # the quote stands around the whole command
    if _PLACEHOLDER.search(shown[-3:]):  # dots that stand for something are no end of a sentence
        raise _placeholder(text, shown.split()[-1])
    shown = _PORT_WORD.sub(r" \1", shown)
    words = _split(shown.strip(_END).strip("`"), text)
    login = _Words(text)
    login.read(words)
    if not command:
        _check_bare(login, words, text)
    if login.rest and login.rest[0].isdecimal():  # "root@host 41682": nobody runs a number there
        login.option("p", login.rest[0])
        after = _Words(text)
        after.target = login.target
        after.read(login.rest[1:])
        login.options += after.options
        login.left_out += after.left_out
        login.rest = after.rest
    if login.rest and not command:
        raise _invalid(text)
    if login.rest[:1] == ["ssh"]:
        return _beyond(login, text)
    return login.login()


def _beyond(first: _Words, text: str) -> SshLogin:
    """``ssh root@gate ssh root@inside``: the machine is the second one, and the first the way to it."""
    gate = first.login()
    second = _Words(text)
    second.read(first.rest[1:])
    port = dict(zip(gate.options, gate.options[1:], strict=False)).get("-p", "")
    if set(gate.options) - {"-p", port}:  # -J takes no other options
        raise _invalid(text)
    second.option("J", f"{gate.target}:{port}" if port else gate.target)
    return second.login()


def _check_bare(said: _Words, words: Sequence[str], text: str) -> None:
    """Without the word ssh it may be another command: only a login with the options of a login is taken for one."""
    flags = [word for word in words if word.startswith("-")]
    if "@" in said.target or not flags:
        return
    if said.target == words[0] or not all(flag[1:2] in tuple("pliJ46o") for flag in flags):
        raise _invalid(text)


def _split(line: str, text: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    if _WINDOWS.search(line) or _DOMAIN.search(line):
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise _invalid(text) from None


def _read_target(target: str, text: str) -> tuple[str, str, str]:
    """User, host and port; user and port may be "". Raises InvalidInput."""
    if _PLACEHOLDER.search(target):
        raise _placeholder(text, target)
    rest = target.removeprefix("ssh://")
    is_url = rest != target
    if is_url:
        rest = rest.partition("/")[0]
    user, _, host = rest.rpartition("@")
    if is_url:
        user = user.partition(";")[0].partition(":")[0]  # a password isn't ssh's to take
    port = ""
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        if "]" not in rest or (port and not port.startswith(":")):
            raise _invalid(text)
        port = port[1:]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        if not port:
            raise _invalid(text)
    if (user and not _USER.fullmatch(user)) or ("@" in rest and not user) or not _is_host(host):
        raise _invalid(text)
    return user, host, _port(port, text) if port else ""


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            return ipaddress.ip_address(host).version == 6
        except ValueError:
            return False
    return _HOST.fullmatch(host) is not None


def _port(value: str, text: str) -> str:
    if not (value.isascii() and value.isdecimal()):
        raise _invalid(text)
    if len(value) > 9 or not 0 < int(value) <= 65535:
        params = {"value": text.strip()[:_SHOWN], "port": value[:_SHOWN]}
        raise InvalidInput(Message("deploy.error.ssh_port", params, field=FIELD))
    return str(int(value))


def _read_config(block: str, text: str) -> SshLogin:
    """The first host of a block of ssh_config, by its address where one stands there."""
    login = _Words(text)
    alias = host = user = ""
    active = True
    for line in block.splitlines():
        match = _OPTION.fullmatch(line)
        if match is None:
            continue
        name, value = match[1].lower(), match[2].strip("\"'")
        if name in ("host", "match"):
            if alias:
                break
            names = [word for word in value.split() if not set(word) & set("*?!")] if name == "host" else []
            alias, active = (names[0] if names else ""), bool(names)
        elif not active or name in _NOT_FOR_LOGIN:
            continue
        elif name == "hostname":
            host = host or value
        elif name == "user":
            user = user or value
        else:
            login.option("o", f"{match[1]}={value}")
    target = host or alias
    login.target = f"{user}@{target}" if user else target
    return login.login()


def _read_labels(block: str, text: str) -> SshLogin | None:
    """``Host: gpu.example  Port: 41682  User: root``, in English or Chinese; None where no host is named so."""
    labels: dict[str, str] = {}
    for match in _LABEL.finditer(block):
        labels.setdefault(next(name for name in ("host", "port", "user") if match[name]), match["value"])
    if "host" not in labels:
        return None
    login = _Words(text)
    login.target = f"{labels['user']}@{labels['host']}" if "user" in labels else labels["host"]
    if "port" in labels:
        login.option("p", labels["port"])
    return login.login()


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(Message("deploy.error.ssh", {"value": text.strip()[:_SHOWN]}, field=FIELD))


def _placeholder(text: str, word: str) -> InvalidInput:
    params = {"value": text.strip()[:_SHOWN], "word": word[:_SHOWN]}
    return InvalidInput(Message("deploy.error.ssh_placeholder", params, field=FIELD))


def login_text(store: Store) -> str:
    """The login as it was typed; "" where none was."""
    value = store.get_json(AREA, KEY)
    return value if isinstance(value, str) else ""


def load_login(store: Store) -> SshLogin | None:
    """The login, read; None where none was given, or one that an earlier version took and this one doesn't."""
    try:
        return parse_login(login_text(store))
    except InvalidInput:
        return None


def save_login(store: Store, text: str) -> SshLogin | None:
    """Remember the login; an empty text forgets it. Raises InvalidInput, and stores nothing, where it has no host."""
    login = parse_login(text)
    store.put_json(AREA, KEY, text.strip())
    return login
