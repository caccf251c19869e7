"""The console's own environment: what is left aside, what is said of it, and what its children get."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.console.environment import LOOPBACK, PROXIES, clean, find_home
from ui.i18n import LANGUAGES, say

ROOT = Path(__file__).parents[4]
UNUSABLE = [
    "socks9://127.0.0.1:7890/",
    "garbage://x",
    "http://[",
    "http://",
    "http://h:99999",
    "://",
    "http://a b:1",
    " http://h:1",
]
USABLE = [
    "http://127.0.0.1:7890",
    "http://user:pass@proxy.example.edu:3128",
    "https://p:443",
    "proxy:8080",
    "",
    "socks5://h:1",
]


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "https_proxy", "Http_Proxy"])
@pytest.mark.parametrize("value", UNUSABLE)
def test_a_proxy_that_no_client_can_use(name: str, value: str) -> None:
    environ = {name: value}
    messages, removed = clean(environ)
    assert name not in environ
    assert removed == {name: value}
    assert [message.key for message in messages] == ["cli.env.proxy"]
    for language in LANGUAGES:
        assert name in say(messages[0], language)


@pytest.mark.parametrize("value", USABLE)
def test_a_proxy_that_serves_stays(value: str) -> None:
    environ = {"http_proxy": value, "ALL_PROXY": value}
    assert clean(environ) == ((), {})
    assert environ["http_proxy"] == environ["ALL_PROXY"] == value


@pytest.mark.parametrize("value", ["socks://127.0.0.1:7890/", "SOCKS://u:p@h:1"])
def test_gnomes_socks_is_read_as_clients_know_it(value: str) -> None:
    environ = {"ALL_PROXY": value}
    messages, removed = clean(environ)
    assert environ["ALL_PROXY"].startswith("socks5://")
    assert removed == {"ALL_PROXY": value}
    assert [message.key for message in messages] == ["cli.env.socks"]
    assert "p@h" not in say(messages[0], "en")


def test_a_password_isnt_told() -> None:
    messages, _ = clean({"ALL_PROXY": "socks9://me:my-password@h:1"})
    assert "my-password" not in say(messages[0], "en")


def test_exceptions_are_read_as_people_write_them() -> None:
    environ = {"no_proxy": "localhost, 127.0.0.1,[::1],,.example.edu,*.x.org,10.0.0.0/8,fe80::1,a b,fe80::/10"}
    messages, removed = clean(environ)
    assert environ["no_proxy"] == environ["NO_PROXY"]
    assert environ["no_proxy"].split(",") == [
        "localhost", "127.0.0.1", "::1", ".example.edu", "*.x.org", "10.0.0.0/8", "fe80::1"
    ]  # fmt: skip
    assert [message.params["part"] for message in messages] == ["a b", "fe80::/10"]
    assert removed["no_proxy"].endswith("a b,fe80::/10")


VALUES = st.one_of(
    st.sampled_from(
        [*UNUSABLE, *USABLE, "*", "[::1]", "::1", "[", "中.cn", "*", "localhost:1", "http://127.0.0.1", "fd00::/8"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    st.lists(
        st.sampled_from([*"[]:/@*.,%#?a1 \\", "http://", "socks5://", "中", "::1", "127.0.0.1", "/8"]), max_size=8
    ).map("".join),
)


@pytest.fixture(scope="module")
def bare_environment() -> Iterator[None]:
    """No proxies for this process but those that a property sets."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@given(proxies=st.dictionaries(st.sampled_from([*PROXIES, "ALL_PROXY", "HTTP_PROXY"]), VALUES), exceptions=VALUES)
@hypothesis_settings(deadline=None, derandomize=True, max_examples=80)
def test_whatever_is_set_clients_can_be_made(bare_environment: None, proxies: dict[str, str], exceptions: str) -> None:
    """And nothing to this machine's loopback goes through a proxy."""
    environ = {**proxies, "no_proxy": exceptions}
    clean(environ)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(environ)
    with httpx.Client(verify=False) as client:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            for scheme in ("http", "https"):
                assert client._transport_for_url(httpx.URL(f"{scheme}://{host}:23333/v1")) is client._transport


@pytest.mark.parametrize(
    "name",
    ["GRADIO_SERVER_PORT", "GRADIO_ROOT_PATH", "GRADIO_SHARE", "GRADIO_ALLOWED_PATHS", "GRADIO_WATCH_DIRS", "SPACE_ID",
     "OAUTH_CLIENT_ID", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "UVICORN_PORT", "OPENAI_CUSTOM_HEADERS",
     "OPENAI_ORG_ID", "FASTAPI_ENV", "OTEL_EXPORTER_OTLP_ENDPOINT", "TQDM_MININTERVAL", "PYDANTIC_DISABLE_PLUGINS"],
)  # fmt: skip
def test_other_programs_settings(name: str) -> None:
    environ = {name: "x", "OPENAI_API_KEY": "sk", "HF_TOKEN": "hf", "GRADIO_TEMP_DIR": "/x"}
    messages, removed = clean(environ)
    assert name not in environ
    assert removed[name] == "x"
    assert [message.params["names"] for message in messages] == [name]
    assert (environ["OPENAI_API_KEY"], environ["HF_TOKEN"]) == ("sk", "hf")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_files_that_arent_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "rubbish.pem").write_text("rubbish")
    for path in (tmp_path / "no" / "file", tmp_path / "rubbish.pem" / "x"):
        messages, removed = clean({name: str(path)})
        assert removed[name] == str(path)
        assert messages[0].params["name"] == name
    if name == "SSL_CERT_FILE":
        assert name in clean({name: str(tmp_path / "rubbish.pem")})[1]
    assert clean({name: ""})[0] == ()


def test_numbers_python_and_tmpdir(tmp_path: Path) -> None:
    environ = {"HF_HUB_ETAG_TIMEOUT": "soon", "PYTHONPATH": "/x", "TMPDIR": str(tmp_path / "no")}
    messages, removed = clean(environ)
    assert {message.key for message in messages} == {"cli.env.number", "cli.env.python", "cli.env.tmpdir"}
    assert set(removed) >= {"HF_HUB_ETAG_TIMEOUT", "TMPDIR"}
    assert environ["PYTHONPATH"] == "/x"  # read by now; children get it
    good = {"HF_HUB_ETAG_TIMEOUT": "10", "TMPDIR": str(tmp_path)}
    assert clean(good) == ((), {})


@pytest.mark.parametrize("home", [None, "", "relative/home", "~"])
def test_a_home(home: str | None) -> None:
    environ = {} if home is None else {"HOME": home}
    find_home(environ)
    assert os.path.isabs(environ["HOME"])
    known = {"HOME": "/nowhere"}
    find_home(known)
    assert known == {"HOME": "/nowhere"}


CHILD = """
import json, os, sys
from pathlib import Path
from backend.console.environment import child_environment, child_umask, keep_files_private, prepare_environment
os.umask(0o002)
keep_files_private()
prepare_environment(Path("/uploads"))
keep_files_private()
child = child_environment()
print(json.dumps([dict(os.environ), child, child_umask(), os.umask(0)]))
"""


def test_children_get_the_persons_own_settings() -> None:
    theirs = {
        "ALL_PROXY": "socks9://p:1", "https_proxy": "http://p:3128", "no_proxy": "[::1],a b", "SSL_CERT_FILE": "/no",
        "GRADIO_SHARE": "1", "PYTHONPATH": "/theirs", "HF_ENDPOINT": "https://hf-mirror.com",
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    answer = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, env={**kept, **theirs}, capture_output=True, text=True, check=True
    )
    own, child, umask, private = json.loads(answer.stdout)
    assert {name: child[name] for name in theirs} == theirs | {"no_proxy": ",".join(["[::1],a b", *LOOPBACK])}
    assert not {"ALL_PROXY", "SSL_CERT_FILE", "GRADIO_SHARE"} & set(own)
    assert own["https_proxy"] == "http://p:3128"
    assert own["GRADIO_TEMP_DIR"] == "/uploads"
    assert (umask, private) == (0o002, 0o077)
