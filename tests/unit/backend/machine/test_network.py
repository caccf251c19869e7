"""Which hosts are this machine's own."""

import ipaddress
import socket
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.machine import network
from backend.machine.network import connectable, is_loopback, is_this_machine, numeric

LOOPBACK = [
    "localhost", "LOCALHOST", "localhost.", "x.localhost", "a.b.Localhost.", "ip6-localhost", "localhost.localdomain",
    "127.0.0.1", "127.0.0.1.", "127.1.2.3", "127.255.255.254", "127.1", "127.0.1", "0x7f000001", "0x7F.0.0.1",
    "2130706433", "0177.0.0.1", "017700000001", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1",
    "[::FFFF:7f00:1]", "::1%lo", "１２７.0.0.1", "127。0。0。1", "ｌｏｃａｌｈｏｓｔ",
]  # fmt: skip
OTHERS = [
    "", "10.0.0.1", "example.org", "localhost.example.org", "notlocalhost", "::2", "192.0.2.7", "126.255.255.255",
    "128.0.0.1", "127.0.0.1.example.com", "127.0.0.1.nip.io", "2130706432.example", "127.0.0.1 x", "::ffff:192.0.2.1",
    "0x7f", "1", "127.0.0.256", "99999999999", "fe80::1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_in_every_spelling(host: str) -> None:
    assert is_loopback(host)
    assert is_this_machine(host)


@pytest.mark.parametrize("host", OTHERS)
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)
    assert not is_this_machine(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "0x0", "::", "[::]", "::0", "::ffff:0.0.0.0"])
def test_any_address_is_this_machine_but_not_for_it_alone(host: str) -> None:
    assert is_this_machine(host)
    assert not is_loopback(host)
    assert is_loopback(connectable(host))


def test_every_interface_and_the_own_name() -> None:
    families = (socket.AF_INET, socket.AF_INET6)
    entries = [a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family in families]
    assert entries
    assert all(is_this_machine(address) for address in entries)
    ipv4 = next(a for a in entries if ":" not in a and not a.startswith("127."))
    assert is_this_machine(str(int(ipaddress.IPv4Address(ipv4))))
    assert is_this_machine(f"[::ffff:{ipv4}]")
    assert is_this_machine(socket.gethostname())
    assert is_this_machine(socket.gethostname().upper() + ".")


def test_names_of_the_hosts_file_and_new_interfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts, resolv = tmp_path / "hosts", tmp_path / "resolv"
    hosts.write_bytes(b"127.0.1.1 gpu-box gpu-box.lab # ours\n192.0.2.9 theirs\n# 127.0.0.1 no\nbroken\n\xff\xfe\n")
    resolv.write_text("nameserver 192.0.2.1\nsearch lab.example other.example\n")
    monkeypatch.setattr(network, "HOSTS", hosts)
    monkeypatch.setattr(network, "RESOLV", resolv)
    network._own.cache_clear()
    try:
        short = socket.gethostname().partition(".")[0]
        assert all(map(is_this_machine, ["gpu-box", "GPU-BOX.lab.", f"{short}.lab.example", f"{short}.local"]))
        assert not any(map(is_this_machine, ["theirs", "no", "broken", "gpu-box.elsewhere", f"{short}.else.example"]))
        hosts.unlink()  # seen at the next look
        network._own.cache_clear()
        assert not is_this_machine("gpu-box.lab")
    finally:
        network._own.cache_clear()


def test_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*arguments: object, **options: object) -> None:
        raise AssertionError(arguments)

    for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr", "getfqdn"):
        monkeypatch.setattr(socket, name, asked)
    assert not is_this_machine("api.example.org")


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
@settings(deadline=None, derandomize=True)
def test_a_number_is_what_the_resolver_takes_it_for(value: int, spelling: str) -> None:
    text = spelling.format(value)
    info = socket.getaddrinfo(text, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    resolved = str(info[0][4][0])
    assert str(numeric(text)) == resolved == connectable(text).replace("127.0.0.1", resolved)


@given(st.text(max_size=40))
@settings(deadline=None, derandomize=True)
def test_any_text_has_an_answer(text: str) -> None:
    assert is_this_machine(text) or not is_loopback(text)


def test_what_a_client_is_given() -> None:
    hosts = ["GPU-Box.", "模型.example", "::1", "127.1", "fe80::1%eth0", "my_service", "gpu。lan", "10.0.0.1"]
    assert [connectable(host) for host in hosts] == [
        "gpu-box", "xn--xgs754b.example", "::1", "127.0.0.1", "fe80::1%eth0", "my_service", "gpu.lan", "10.0.0.1",
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["", "a..b", "-a", "a b", "a/b", "*.x", "<host>", "a" * 64, "模 型", "$(x)"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError):
        connectable(host)
