"""The environment of the console's own process: what libraries would read there and stumble over is left aside.

Proxy settings that httpx can't use, certificates that aren't there, settings for other programs made with Gradio: any
of them would end the start with a traceback, or change what the console is. Programs that the console starts get what
the person set, through ``child_environment``.
"""

import os
import pwd
import re
import ssl
import tempfile
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

from backend.errors import Message

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
CERTIFICATES: Mapping[str, Callable[[str], object]] = {  # the first is read whenever one of the others is tried
    "SSLKEYLOGFILE": lambda value: os.close(os.open(value, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)),
    "SSL_CERT_FILE": lambda value: ssl.create_default_context(cafile=value),
    "SSL_CERT_DIR": lambda value: ssl.create_default_context(capath=value) and os.listdir(value),
}
NUMBERS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")  # read as such while Gradio is imported
# Settings of Gradio, of the hub's Spaces, of the web server and of the OpenAI client. The console sets what it needs.
FOREIGN = re.compile(
    r"GRADIO_\w+|SPACES?_\w+|OAUTH_\w+|OPENID_PROVIDER_URL|KAGGLE_KERNEL_RUN_TYPE|UVICORN_\w+|WEB_CONCURRENCY"
    r"|FORWARDED_ALLOW_IPS|FASTAPI_\w+|OTEL_\w+|PYDANTIC_\w+|DEFER_PYDANTIC_BUILD|OPENAI_(?!API_KEY$)\w+|TQDM_\w+"
    r"|PLOTLY_RENDERER|MPLBACKEND"
)
PROXY = re.compile(r"(\w+://)?([^@/?#\s]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:(?P<port>[0-9]{1,5}))?/?", re.ASCII)
EXCEPTION = re.compile(r"[\w.*:/%-]*", re.ASCII)
OWN: Mapping[str, str] = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",  # no summary of usage at every event
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
PRIVATE_UMASK = 0o077
_umask = -1  # the person's, for what the console starts; -1: as this process has it
_left_aside: dict[str, str] = {}  # what the person set and the console's own process doesn't have any more


def prepare_environment(uploads: Path) -> tuple[Message, ...]:
    """Clean this process's environment, once, before Gradio is imported. Returns what was left aside, to be said."""
    messages, removed = clean(os.environ)
    names = [name for name in os.environ if name.lower() in PROXIES]
    if names and _fails(_use_all, ""):  # each can be used, and still all together can't
        removed |= {name: os.environ.pop(name) for name in names}
        messages += tuple(Message("cli.env.proxy", {"name": name}) for name in names)
    os.environ.update(OWN, GRADIO_TEMP_DIR=str(uploads))
    for name, value in removed.items():
        _left_aside[name] = ",".join((value, *LOOPBACK)) if name.lower() == "no_proxy" else value
    if os.environ.get("PYTHONWARNINGS"):  # an error of it would end an import
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    return messages


def child_environment() -> dict[str, str]:
    """What a program that the console starts is given: the person's own settings are among it again."""
    return {**os.environ, **_left_aside}


def keep_files_private() -> None:
    """From now on what this process and its libraries write is this user's alone, whatever the umask was."""
    global _umask
    before = os.umask(PRIVATE_UMASK)
    _umask = before if _umask < 0 else _umask


def child_umask() -> int:
    """The umask of a program that the console starts, for subprocess.Popen: what it makes is as the person wants it."""
    return _umask


def find_home(environ: MutableMapping[str, str]) -> None:
    """HOME, where it is missing or no absolute path: the account's own, or else "/", so that nothing is written below
    a folder called "~"."""
    if not os.path.isabs(environ.get("HOME", "")):
        try:
            environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir or "/"
        except KeyError:  # a container's user without an account
            environ["HOME"] = "/"


def clean(environ: MutableMapping[str, str]) -> tuple[tuple[Message, ...], dict[str, str]]:
    """Take out of ``environ`` what would be in the way. Returns a sentence for each, and the values taken out."""
    messages: list[Message] = []
    before = dict(environ)
    foreign = [name for name in sorted(environ) if _is_foreign(name, environ[name])]
    for name in foreign:
        del environ[name]
    if told := [name for name in foreign if name not in OWN and name != "GRADIO_TEMP_DIR"]:
        messages.append(Message("cli.env.foreign", {"names": ", ".join(told)}))
    for name, check in CERTIFICATES.items():
        if environ.get(name) and (reason := _fails(check, environ[name])):
            messages.append(Message("cli.env.file", {"name": name, "path": environ.pop(name), "reason": reason}))
    for name in NUMBERS:
        if environ.get(name, "0").strip().isdecimal():
            continue
        messages.append(Message("cli.env.number", {"name": name, "value": environ.pop(name)}))
    messages += _clean_proxies(environ)
    for name in ("PYTHONPATH", "PYTHONWARNINGS"):
        if environ.get(name):
            messages.append(Message("cli.env.python", {"name": name}))
    if environ.get("TMPDIR") and not os.path.isdir(environ["TMPDIR"]):
        messages.append(Message("cli.env.tmpdir", {"path": environ.pop("TMPDIR"), "instead": tempfile.gettempdir()}))
    return tuple(messages), {name: value for name, value in before.items() if environ.get(name) != value}


def _is_foreign(name: str, value: str) -> bool:
    return FOREIGN.fullmatch(name) is not None or (name == "SYSTEM" and value == "spaces")


def _clean_proxies(environ: MutableMapping[str, str]) -> list[Message]:
    """Proxies that httpx can use, and exceptions that it can read; this machine is always among them."""
    messages = []
    exceptions: dict[str, None] = {}
    for name in [name for name in environ if name.lower() in (*PROXIES, "no_proxy")]:
        if name.lower() != "no_proxy":
            if environ[name].lower().startswith("socks://"):  # what GNOME sets, and no client knows
                plain = "socks5" + environ[name].strip().rstrip("/")[len("socks") :]
                if not _fails(_use_proxy, plain):
                    environ[name] = plain
                    messages.append(Message("cli.env.socks", {"name": name}))
                    continue
            if environ[name].strip() and _fails(_use_proxy, environ[name]):  # the reason may name a password
                messages.append(Message("cli.env.proxy", {"name": name}))
                del environ[name]
            continue
        for part in map(str.strip, environ.pop(name).split(",")):
            plain = part[1:-1] if part.startswith("[") and part.endswith("]") else part
            if _fails(_use_exception, plain):
                messages.append(Message("cli.env.no_proxy", {"name": name, "part": part}))
            elif plain:
                exceptions[plain] = None
    for name in ("no_proxy", "NO_PROXY"):
        environ[name] = ",".join([*exceptions, *(host for host in LOOPBACK if host not in exceptions)])
    return messages


def _use_proxy(value: str) -> None:
    """Does what an HTTP client does with it, as far as the network; with or without a scheme."""
    import httpx

    match = PROXY.fullmatch(value)
    if match is None or not 0 < int(match["port"] or 80) < 65536:
        raise ValueError("no scheme, host and port")
    address = httpx.URL(value if "://" in value else f"http://{value}")
    httpx.HTTPTransport(proxy=httpx.Proxy(address), verify=False).close()


def _use_all(_: str) -> None:
    """An HTTP client as the console makes them for other machines."""
    import httpx

    httpx.Client().close()


def _use_exception(value: str) -> None:
    """The pattern that an HTTP client makes of a host, a domain, an address or a network."""
    import httpx

    if not EXCEPTION.fullmatch(value):
        raise ValueError("no host")
    if value != "*" and value:
        is_ipv6 = value.partition("/")[0].count(":") > 1  # of which a network can't be said
        httpx.URL(value if "://" in value else f"all://[{value}]" if is_ipv6 else f"all://*{value}")


def _fails(use: Callable[[str], object], value: str) -> str:
    """Why that value can't be used; "" where it can."""
    try:
        use(value)
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    except Exception as error:  # whatever a client raises would end the start
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""
