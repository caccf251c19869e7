"""The command line: arguments → Settings, and what the terminal says. Nothing here imports Gradio."""

import argparse
import getpass
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import platformdirs

from backend.machine.fit import check_report
from backend.machine.machine import Machine
from backend.machine.network import outward_addresses
from backend.settings import Settings
from ui.i18n import LANGUAGES, Language, parse_language, say, t
from ui.ssh import SshLogin, forward_line
from ui.web.host_rules import API_ORIGIN

DEFAULT_HOST = "127.0.0.1"
ANY_ADDRESS = ("0.0.0.0", "::", "")
DEFAULT_PORT = 8300  # beside LMDeploy's 23333, Gradio's 7860, Jupyter's 8888 and vLLM's 8000
LANGUAGE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


@dataclass(frozen=True)
class CommandLine:
    """What was asked for: the console's settings; ``check`` prints the environments instead of starting."""

    settings: Settings
    language: Language
    check: bool


def terminal_language(arguments: Sequence[str]) -> Language:
    """``--language`` if given, else the terminal's locale, else English."""
    values = [value.partition("=")[2] for value in arguments if value.startswith("--language=")]
    values += [after for value, after in pairwise(arguments) if value == "--language"]
    values += [os.environ.get(name, "") for name in LANGUAGE_VARIABLES]
    return next((language for language in map(parse_language, values) if language), "en")


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Settings from the arguments. A bad value ends the program with a line that names field, value and remedy."""
    language = terminal_language(arguments)
    given = _parser(language).parse_args(arguments)
    settings = Settings(
        host=given.host or DEFAULT_HOST,
        port=DEFAULT_PORT if given.port is None else given.port,
        port_asked=given.port is not None,
        state_dir=given.state_dir or Path(platformdirs.user_state_dir("lmdeploy-console")),
        models=tuple(given.models),
        lmdeploy=tuple(given.lmdeploy),
        language=given.language or language,
        root_path=given.root_path,
        api_origins=tuple(given.api_origin),
        open_browser=given.open,
    )
    return CommandLine(settings, language, given.check)


def _parser(language: Language) -> argparse.ArgumentParser:
    def bad(key: str, value: str) -> argparse.ArgumentTypeError:
        return argparse.ArgumentTypeError(t(key, language, {"value": value}))

    def port(value: str) -> int:
        if not value.isdecimal() or not 0 <= int(value) <= 65535:
            raise bad("cli.bad_port", value)
        return int(value)

    def folder(value: str) -> Path:
        path = Path(os.path.expanduser(value))
        if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
            raise bad("cli.bad_folder", value)
        return path.resolve()

    def state(value: str) -> Path:
        expanded = os.path.expanduser(value)
        path = Path(expanded).absolute()
        if expanded.startswith("~"):
            raise bad("cli.bad_home", value)
        if path.exists() and not path.is_dir():
            raise bad("cli.bad_state", value)
        return path

    def python(value: str) -> Path:
        path = Path(os.path.expanduser(value)).absolute()  # not resolved: a virtual environment's python is a link
        if path.is_dir():
            path = path / "bin" / "python"
        if not path.is_file() or not os.access(path, os.X_OK):
            raise bad("cli.bad_python", value)
        return path

    def spoken(value: str) -> str:
        found = parse_language(value)
        if found is None:
            raise bad("cli.bad_language", value)
        return found

    def root(value: str) -> str:
        if value and not value.startswith(("/", "http://", "https://")):
            raise bad("cli.bad_root_path", value)
        return value.rstrip("/")

    def host(value: str) -> str:
        if not value or any(character in value for character in "/ @?#"):
            raise bad("cli.bad_host", value)
        return value

    def origin(value: str) -> str:
        if not API_ORIGIN.fullmatch(value.rstrip("/")):
            raise bad("cli.bad_origin", value)
        return value.rstrip("/")

    parser = argparse.ArgumentParser(
        prog="app.py", description=t("cli.description", language), add_help=False, allow_abbrev=False
    )

    def add(name: str, metavar: str | None = None, **options: object) -> None:
        if metavar:
            options["metavar"] = metavar
        help_text = t(f"cli.help.{name.lstrip('-').replace('-', '_')}", language)
        parser.add_argument(name, help=help_text.replace("%", "%%"), **options)  # type: ignore[arg-type]

    add("--host", "HOST", type=host)
    add("--port", "PORT", type=port)
    add("--models", "DIR", type=folder, nargs="+", action="extend", default=[])
    add("--state-dir", "DIR", type=state)
    add("--language", "|".join(LANGUAGES), type=spoken)
    add("--root-path", "PATH", type=root, default="")
    add("--api-origin", "ORIGIN", type=origin, action="append", default=[])
    add("--open", action="store_true")
    add("--lmdeploy", "PYTHON", type=python, nargs="+", action="extend", default=[])
    add("--check", action="store_true")
    add("--help", action="help")
    return parser


def check_text(machine: Machine, language: Language) -> str:
    """The environment check for a terminal: a paragraph for the machine and for each environment."""
    paragraphs = []
    for row in check_report(machine):
        facts = [f"  {t(key, language)}: {value}" for key, value in row.values if value]
        verdict = f"  {say(row.verdict, language)}"
        paragraphs.append("\n".join([row.label or t("cli.machine", language), *facts, verdict]))
    return "\n\n".join(paragraphs)


def page_address(settings: Settings, port: int, token: str) -> str:
    """The address that lets a browser in."""
    return f"{base_address(settings, port)}/?token={token}"


def base_address(settings: Settings, port: int) -> str:
    """Where the page is: the loopback name where everyone's door is open, the proxy's address where it is known."""
    if settings.root_path.startswith("http"):
        return settings.root_path
    host = settings.host
    if host in ANY_ADDRESS:
        host = DEFAULT_HOST
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{port}"


def class_address(settings: Settings, port: int, token: str) -> str:
    """The address for a class: this machine's own on the network, where the console listens there."""
    return f"{shared_addresses(settings, port)[0]}/?token={token}"


def shared_addresses(settings: Settings, port: int) -> list[str]:
    """Where others may find the page, the likeliest first; with the console on loopback, its own address alone."""
    if settings.root_path.startswith("http") or settings.host not in ANY_ADDRESS:
        return [base_address(settings, port)]
    hosts = [f"[{host}]" if ":" in host else host for host in outward_addresses()]
    return [f"http://{host}:{port}" for host in hosts] or [base_address(settings, port)]


def ssh_line(login: SshLogin | None, port: int, local_port: int | None = None) -> str:
    """What a person runs on their own computer to reach the page: with the login remembered on the Deploy tab, or else
    with the names that this machine has for itself."""
    return forward_line(login or SshLogin(f"{_account()}@{socket.gethostname()}"), port, local_port)


def _account() -> str:
    """This account's name; its number where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
