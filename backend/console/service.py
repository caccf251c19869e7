"""The console as a service of this account (systemd --user), so that it comes back after the machine was restarted.

The unit's text is made by a pure function; ``install`` and ``remove`` are the only ones here that change anything.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.errors import InvalidInput, Message, Unavailable
from backend.whole_file import write_whole

NAME = "lmdeploy-console.service"
DEADLINE_S = 30.0
# What servers need to find their programs and models; neither keys nor proxies, which may hold passwords.
KEPT = (
    "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT",
    "MODELSCOPE_CACHE", "XDG_STATE_HOME",
)  # fmt: skip


def unit_text(python: Path, app: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The unit. Raises InvalidInput for what a unit can't hold (a line break).

    ``KillMode=process``: servers and jobs outlive the console here too; systemd would end them with it.
    """
    command = " ".join(_quoted(word) for word in (str(python), str(app), *arguments))
    kept = [f"{name}={environ[name]}" for name in KEPT if environ.get(name)]
    lines = [
        "[Unit]",
        "Description=LMDeploy Console",
        "StartLimitIntervalSec=300",
        "StartLimitBurst=5",
        "",
        "[Service]",
        f"WorkingDirectory={_plain(str(app.parent))}",
        *(f"Environment={_quoted(one, dollar=False)}" for one in kept),
        f"ExecStart={command}",
        "KillMode=process",
        "TimeoutStopSec=15",
        "Restart=on-failure",
        "RestartSec=5",
        "UMask=0077",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    return "\n".join(lines)


def unit_path(environ: Mapping[str, str]) -> Path:
    """Where this account's units stand."""
    configured = environ.get("XDG_CONFIG_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path.home() / ".config"
    return base / "systemd" / "user" / NAME


def verify(text: str) -> str:
    """What ``systemd-analyze verify`` has against the unit; "" for nothing, and where it isn't there. Raises
    Unavailable."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return ""
    with tempfile.TemporaryDirectory(prefix="lmdeploy-console-") as folder:
        path = Path(folder) / NAME
        path.write_text(text, encoding="utf-8")
        # Outside a session there is no runtime folder, without which it checks nothing.
        found = _run([analyze, "--user", "--man=no", "verify", str(path)], {"XDG_RUNTIME_DIR": folder})
        said = (found.stderr + found.stdout).strip()
        return said if found.returncode else ""


def install(text: str, environ: Mapping[str, str]) -> tuple[Message, ...]:
    """Check the unit, write it, and start it now and at every start of the machine. What is to be said of it.

    Raises Unavailable where this machine has no systemd for accounts, or it refuses.
    """
    systemctl = _systemctl()
    if said := verify(text):
        raise Unavailable(Message("service.refused", {"cause": said[:500]}))
    path = unit_path(environ)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise Unavailable(Message("service.not-written", {"path": str(path), "cause": str(error)})) from error
    for words in (["daemon-reload"], ["enable", NAME], ["restart", NAME]):
        found = _run([systemctl, "--user", *words])
        if found.returncode:
            raise Unavailable(Message("service.failed", {"command": " ".join(words), "cause": found.stderr.strip()}))
    messages = [Message("service.installed", {"path": str(path), "name": NAME}, level="info")]
    loginctl = shutil.which("loginctl")
    lingers = loginctl is not None and _run([loginctl, "enable-linger"]).returncode == 0
    if not lingers:  # without it the account's services begin at its first login and end with its last
        messages.append(Message("service.no-linger", level="warning"))
    return tuple(messages)


def remove(environ: Mapping[str, str]) -> tuple[Message, ...]:
    """Take the service away; servers go on. Raises Unavailable."""
    systemctl, path = _systemctl(), unit_path(environ)
    if not path.exists():
        return (Message("service.none", {"path": str(path)}, level="info"),)
    _run([systemctl, "--user", "disable", "--now", NAME])
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(Message("service.not-written", {"path": str(path), "cause": str(error)})) from error
    _run([systemctl, "--user", "daemon-reload"])
    return (Message("service.removed", {"path": str(path)}, level="info"),)


def _systemctl() -> str:
    """systemctl, where it has a manager for this account. Raises Unavailable."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        raise Unavailable(Message("service.no-systemd"))
    found = _run([systemctl, "--user", "show-environment"])
    if found.returncode:
        raise Unavailable(Message("service.no-manager", {"cause": found.stderr.strip()[:300]}))
    return systemctl


def _run(argv: Sequence[str], more: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", **(more or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(Message("service.failed", {"command": " ".join(argv), "cause": str(error)})) from error


def _quoted(word: str, *, dollar: bool = True) -> str:
    """A word of a unit's line: systemd reads quotes, backslashes, per cent signs, and in commands dollars."""
    text = _plain(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text.replace("$", "$$") if dollar else text}"'


def _plain(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InvalidInput(Message("service.control", {"value": repr(text)}))
    return text.replace("%", "%%")
