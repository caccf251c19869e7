"""app.py with variables that libraries stumble over: it starts, says what it left aside, and serves its page."""

import os
import re
import stat
import subprocess
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.console import ROOT, Console
from tests.support.waiting import wait_for

NOWHERE = "/nowhere/at/all"
# A start takes seconds, so variables that don't touch one another share one: what is set, and what must be named.
STARTS: Mapping[str, tuple[Mapping[str, str], Sequence[str]]] = {
    "socks": (
        {
            "ALL_PROXY": "socks://127.0.0.1:7890/",
            "no_proxy": "localhost,127.0.0.1,[::1],a b",
            "http_proxy": "http://127.0.0.1:9",
            "SSL_CERT_FILE": NOWHERE,
        },
        ["ALL_PROXY", "no_proxy", "SSL_CERT_FILE"],
    ),
    "garbage": (
        {
            "HTTP_PROXY": "garbage",
            "https_proxy": "http://[",
            "NO_PROXY": "[,fd00::/8",
            "HF_HOME": "~nobody-of-that-name/x",
            "SSLKEYLOGFILE": NOWHERE,
            "SSL_CERT_DIR": NOWHERE,
            "COLUMNS": "-3",
            "LINES": "x",
            "LANG": "xx_YY.nothing",
            "LC_ALL": "%",
            "TZ": "No/Zone",
            "TMPDIR": NOWHERE,
            "TERM": "nothing",
            "BROWSER": NOWHERE,
            "HF_HUB_DOWNLOAD_TIMEOUT": "soon",
            "HF_HUB_ETAG_TIMEOUT": "1.5",
            "HF_HUB_VERBOSITY": "loud",
            "MPLBACKEND": "nothing",
            "FORCE_COLOR": "x",
        },
        [
            "https_proxy",
            "NO_PROXY",
            "SSLKEYLOGFILE",
            "SSL_CERT_DIR",
            "TMPDIR",
            "HF_HUB_DOWNLOAD_TIMEOUT",
            "HF_HUB_ETAG_TIMEOUT",
        ],
    ),
    "gradio": (
        {
            "GRADIO_SERVER_PORT": "x",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_ROOT_PATH": "/gradio-root",
            "GRADIO_SHARE": "True",
            "GRADIO_ALLOWED_PATHS": "/",
            "GRADIO_NUM_PORTS": "x",
            "GRADIO_NODE_NUM_PORTS": "x",
            "GRADIO_SSR_MODE": "True",
            "GRADIO_MCP_SERVER": "True",
            "GRADIO_WATCH_DIRS": "/",
            "GRADIO_DEBUG": "x",
            "GRADIO_ANALYTICS_ENABLED": "True",
            "GRADIO_ANALYTICS_MAX_EVENTS": "x",
            "GRADIO_DEFAULT_CONCURRENCY_LIMIT": "x",
            "GRADIO_LOCAL_DEV_MODE": "1",
            "GRADIO_CACHE_MODE": "x",
            "GRADIO_TEMP_DIR": NOWHERE,
            "GRADIO_THEME": "x",
            "GRADIO_VIBE_MODE": "1",
            "SYSTEM": "spaces",
            "SPACE_ID": "a/b",
            "OAUTH_CLIENT_ID": "x",
            "WEB_CONCURRENCY": "x",
            "FORWARDED_ALLOW_IPS": "*",
            "UVICORN_PORT": "x",
            "FASTAPI_ENV": "development",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "TQDM_MININTERVAL": "x",
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
            "OPENAI_CUSTOM_HEADERS": "x",
            "OPENAI_LOG": "debug",
            "PYDANTIC_DISABLE_PLUGINS": "x",
        },
        [
            "GRADIO_SERVER_PORT",
            "GRADIO_ROOT_PATH",
            "SPACE_ID",
            "WEB_CONCURRENCY",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OPENAI_LOG",
        ],
    ),
    "python": (
        {
            "ALL_PROXY": "socks5://127.0.0.1:9",
            "all_proxy": "socks5h://127.0.0.1:9",
            "PYTHONPATH": "FOLDER",
            "PYTHONSAFEPATH": "1",
            "PYTHONWARNINGS": "error",
            "PYTHONOPTIMIZE": "2",
            "PYTHONDEVMODE": "1",
            "PYTHONASYNCIODEBUG": "1",
            "PYTHONIOENCODING": "ascii",
            "PYTHONUTF8": "0",
            "PYTHONINSPECT": "1",
            "PYTHONNOUSERSITE": "",
            "PYTHONSTARTUP": NOWHERE,
            "PYTHONBREAKPOINT": "x.y",
            "PYTHONPYCACHEPREFIX": NOWHERE,
            "LC_ALL": "zh_CN.UTF-8",
        },
        ["PYTHONPATH", "PYTHONWARNINGS"],
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_it_starts_and_says_what_it_left_aside(name: str, tmp_path: Path) -> None:
    variables, named = STARTS[name]
    shadows = tmp_path / "shadows"
    for module in ("json", "ssl", "typing", "asyncio", "uvicorn", "gradio", "backend", "ui"):
        (shadows / module).mkdir(parents=True)
        (shadows / module / "__init__.py").write_text("raise SystemExit('not this one')")
    environment = {key: str(shadows) if value == "FOLDER" else value for key, value in variables.items()}
    without = [key for key in os.environ if key.lower().endswith("_proxy") or key.startswith(("LC_", "LANG"))]
    console = Console(tmp_path / "state", environment=environment, without=without)
    try:
        console.ready()
        said = console.output()
        for key in named:
            assert re.search(rf"\b{key}\b", said), said
        assert "Traceback" not in said
        with console.client() as operator:
            assert operator.get("/").status_code == 200
            config = operator.get("/config").json()
            assert config["root"] == console.base_url
            assert not config.get("is_space")
            snapshot = wait_for("a memory reading", lambda: reading(operator))
            assert snapshot["role"] == "operator"
            assert operator.get("/gradio_api/file=/etc/hostname").status_code in (403, 404)
    finally:
        console.close()


def reading(client) -> dict:  # type: ignore[no-untyped-def, type-arg]
    """The snapshot, once the first memory reading is in it."""
    snapshot = client.get("/console/snapshot").json()
    return snapshot if snapshot["header"]["host_total_bytes"] else {}


@pytest.mark.parametrize("home", ["missing", "not writable"])
def test_without_a_home(home: str, tmp_path: Path) -> None:
    """And nothing depends on the umask; the browser that it opens is told no token."""
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$*" > {told}.part\nmv {told}.part {told}\n')
    browser.chmod(0o700)
    without = [key for key in os.environ if key.startswith("XDG_") or key in ("HF_HOME", "USER", "LOGNAME", "LNAME")]
    environment = {"BROWSER": f"{browser} %s"}
    if home == "missing":
        without.append("HOME")
    else:
        environment["HOME"] = "/proc/self"
    console = Console(tmp_path / "state", "--open", environment=environment, without=without, umask=0)
    try:
        console.ready()
        with console.client() as operator:
            assert operator.get("/").status_code == 200
            operator.post("/gradio_api/upload", files={"files": ("a.txt", b"x", "text/plain")}).raise_for_status()
        wait_for("the browser", told.exists, 60)
        assert console.token not in told.read_text()
        assert told.read_text().startswith("file://")
        assert console.end() == 0
        assert not Path(told.read_text().strip().removeprefix("file://")).exists()
        for path in [console.state_dir, *console.state_dir.rglob("*")]:
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0 or path.is_symlink(), path
    finally:
        console.close()


def test_packages_that_came_by_pythonpath_are_found(tmp_path: Path) -> None:
    """A machine may have the console's packages in a folder that only PYTHONPATH names."""
    venv.create(tmp_path / "bare", symlinks=True)
    command = [str(tmp_path / "bare" / "bin" / "python"), str(ROOT / "app.py"), "--help"]
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "--state-dir" in done.stdout, done.stderr
