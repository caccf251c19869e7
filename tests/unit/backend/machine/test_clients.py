"""Which way a request takes."""

import httpx
import pytest

from backend.machine.clients import certificates, client_options, route

PROXY = "http://proxy.example:3128"


def test_a_remote_server_is_reached_as_the_person_says() -> None:
    said = {"http": PROXY, "https": "http://s.example:1", "no": "inner.example"}
    assert route("http://gpu.example/v1", with_key=False, proxies=said).proxy == PROXY
    assert route("https://gpu.example/v1", with_key=True, proxies=said).proxy == "http://s.example:1"
    assert route("https://gpu.example/v1", with_key=True, proxies={"all": PROXY}).proxy == PROXY
    assert route("https://gpu.example/v1", with_key=True, proxies={"http": PROXY}).proxy == ""
    assert route("https://gpu.example/v1", with_key=True, proxies={}).proxy == ""


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0.0.0.0", "[::1]", "[::]", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "LOCALHOST."],
)
def test_nothing_to_this_machine_takes_a_proxy(host: str) -> None:
    for scheme in ("http", "https"):
        said = {"http": PROXY, "https": PROXY, "all": "nonsense"}
        taken = route(f"{scheme}://{host}:8000/v1", with_key=True, proxies=said)
        assert (taken.proxy, taken.notices) == ("", ())


def test_a_key_never_goes_to_a_proxy_in_plain() -> None:
    for proxy in (PROXY, "socks5://p.example:1", "https://p.example:1"):
        taken = route("http://gpu.example/v1", with_key=True, proxies={"http": proxy})
        assert taken.proxy == ""
        assert [(m.key, m.level) for m in taken.notices] == [("servers.proxy-would-see-key", "warning")]


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("p.example:3128", "http://p.example:3128"),
        (" 'http://p.example:3128/' ", "http://p.example:3128"),
        ("HTTP://p.example", "http://p.example"),
        ("socks://127.0.0.1:7890/", "socks5://127.0.0.1:7890"),
        ("socks5h://127.0.0.1:7890", "socks5h://127.0.0.1:7890"),
        ("http://me:s3cret@p.example:1", "http://me:s3cret@p.example:1"),
        ("http://[::1]:7890", "http://[::1]:7890"),
    ],
)
def test_proxies_as_people_write_them(value: str, proxy: str) -> None:
    taken = route("http://gpu.example/v1", with_key=False, proxies={"all": value})
    assert (taken.proxy, taken.notices) == (proxy, ())
    httpx.Client(trust_env=False, proxy=proxy, verify=certificates()).close()  # socksio is there


@pytest.mark.parametrize(
    "value",
    [
        "socks4://h:1",
        "http://",
        "://",
        "http://h:99999",
        "http://[::1",
        "ftp://h",
        "nonsense here",
        "http://h:x",
        "💥://",
    ],
)
def test_a_setting_that_cannot_be_used_is_named(value: str) -> None:
    taken = route("http://gpu.example/v1", with_key=False, proxies={"http": value})
    (notice,) = taken.notices
    assert (taken.proxy, notice.key, notice.params["name"]) == ("", "servers.proxy-unusable", "http_proxy")
    assert notice.params["value"] == value


def test_a_proxys_password_is_not_shown() -> None:
    said = {"http": "socks4://me:s3cret@h:1"}
    (notice,) = route("http://gpu.example/v1", with_key=False, proxies=said).notices
    assert notice.params["value"] == "socks4://…@h:1"


@pytest.mark.parametrize(
    ("no_proxy", "excepted"),
    [
        ("*", True), ("gpu.example", True), (".example", True), ("*.example", True), ("EXAMPLE", True),
        ("other, gpu.example:8000", True), ("gpu.example:9", False), ("pu.example", False), ("[::1]", False),
        ("localhost,127.0.0.1,[::1],::1", False), ("", False), (",,", False), ("[", False), ("10.0.0.0/8", False),
    ],
)  # fmt: skip
def test_exceptions_by_name(no_proxy: str, excepted: bool) -> None:
    taken = route("http://gpu.example:8000/v1", with_key=False, proxies={"http": PROXY, "no": no_proxy})
    assert (taken.proxy == "") is excepted


@pytest.mark.parametrize(
    ("host", "no_proxy", "excepted"),
    [
        ("198.51.100.7", "198.51.100.0/24", True), ("198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.0.0/33", False), ("198.51.100.7", "100.7", False),
        ("[2001:db8::5]", "2001:db8::/32", True), ("[2001:db8::5]", "[2001:DB8:0::5]", True),
        ("[2001:db8::5]", "[2001:db8::5]:9", False),
    ],
)  # fmt: skip
def test_exceptions_by_address(host: str, no_proxy: str, excepted: bool) -> None:
    taken = route(f"http://{host}:8000/v1", with_key=False, proxies={"http": PROXY, "no": no_proxy})
    assert (taken.proxy == "") is excepted


def test_the_environment_is_read_and_nothing_else_of_it_reaches_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks://proxy.example:7890/")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1,[::1]")
    options = client_options("https://gpu.example/v1", with_key=True)
    assert (options["proxy"], options["trust_env"]) == ("socks5://proxy.example:7890", False)


def test_certificates_of_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    assert certificates().get_ca_certs()
