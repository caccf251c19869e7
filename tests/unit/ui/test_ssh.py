import re
import shlex
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import InvalidInput
from ui.ssh import SshLogin, forward_line, parse_login, remote_line


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("ssh -p 41682 root@ssh.example.com", SshLogin("root@ssh.example.com", ("-p", "41682"))),
        ("ssh root@ssh.example.com -p 41682", SshLogin("root@ssh.example.com", ("-p", "41682"))),
        ("ssh -p41682 root@ssh.example.com", SshLogin("root@ssh.example.com", ("-p", "41682"))),
        ("root@ssh.example.com", SshLogin("root@ssh.example.com")),
        ("  ssh gpu-box ", SshLogin("gpu-box")),
        ("ssh -p 41682 root@ssh.example.com -CNg -L 7860:127.0.0.1:7860 -o StrictHostKeyChecking=no",
         SshLogin("root@ssh.example.com", ("-p", "41682", "-o", "StrictHostKeyChecking=no"))),
        ("ssh -i '~/my keys/id' -J me@jump.example.com me@10.0.0.7",
         SshLogin("me@10.0.0.7", ("-i", "~/my keys/id", "-J", "me@jump.example.com"))),
        ("/usr/bin/ssh -4 me@host nvidia-smi", SshLogin("me@host", ("-4",))),
        ("ssh me@fe80::1", SshLogin("me@fe80::1")),
    ],
)  # fmt: skip
def test_a_login_is_read_as_courses_print_it(text: str, login: SshLogin) -> None:
    assert parse_login(text) == login


def test_no_login_is_none() -> None:
    assert parse_login("  ") is None


@pytest.mark.parametrize(
    "text",
    ["ssh", "ssh -p", "ssh -p 22", "ssh 'me@host", "hello, world", "ssh me@host;reboot", "$(reboot)", "me@-oProxy"],
)
def test_a_text_without_a_host_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_login(text)
    (message,) = caught.value.messages
    assert (message.key, message.field) == ("deploy.error.ssh", "deploy-ssh")


def test_options_that_run_programs_are_not_taken_over() -> None:
    assert parse_login("ssh -o ProxyCommand=evil -oLocalCommand=evil me@host") == SshLogin("me@host")


def test_the_forward_line_names_port_and_login() -> None:
    login = parse_login("ssh -p 41682 root@ssh.example.com")
    assert forward_line(login, 23333) == "ssh -CN -L 23333:127.0.0.1:23333 -p 41682 root@ssh.example.com"
    assert forward_line(login, 8300, 9000) == "ssh -CN -L 9000:127.0.0.1:8300 -p 41682 root@ssh.example.com"


def test_without_a_login_the_line_says_what_to_fill_in() -> None:
    assert forward_line(None, 23333) == "ssh -CN -L 23333:127.0.0.1:23333 USER@HOST"


def test_a_remote_command_is_one_word() -> None:
    login = parse_login("me@host")
    assert remote_line(login, "cat '/a b/key'") == """ssh me@host 'cat '"'"'/a b/key'"'"''"""


# What is pasted, and what OpenSSH must then have read: user, host, port, jump host.
USUAL = [
    ("ssh -CNg -L 23333:127.0.0.1:23333 root@ssh.intern-ai.org.cn -p 41682", "root", "ssh.intern-ai.org.cn", 41682, ""),
    ("root@h.example:41682", "root", "h.example", 41682, ""),
    ("ssh root@h.example:41682", "root", "h.example", 41682, ""),
    ("root@h.example 41682", "root", "h.example", 41682, ""),
    ("root@h.example port 41682", "root", "h.example", 41682, ""),
    ("root@h.example 端口：41682", "root", "h.example", 41682, ""),
    ("ssh root@h.example 41682 -i ~/.ssh/id", "root", "h.example", 41682, ""),
    ("h.example:22022", "", "h.example", 22022, ""),
    ("ssh://root@h.example:41682", "root", "h.example", 41682, ""),
    ("ssh ssh://root@h.example:41682/", "root", "h.example", 41682, ""),
    ("ssh://root:secret@h.example", "root", "h.example", 22, ""),
    ("ssh -l root -o Port=41682 h.example", "root", "h.example", 41682, ""),
    ("ssh h.example -oUser=root -o 'Port 41682'", "root", "h.example", 41682, ""),
    ("ssh -p 41682 -p 99 root@h.example", "root", "h.example", 41682, ""),
    ("ssh -J me@jump.example:2222,[2001:db8::1]:22 root@10.0.0.7", "root", "10.0.0.7", 22, "me@jump.example:2222"),
    ("ssh -o ProxyJump=jump.example root@10.0.0.7", "root", "10.0.0.7", 22, "jump.example"),
    ("root@[2001:db8::7]:41682", "root", "2001:db8::7", 41682, ""),
    ("ssh root@2001:db8::7 -p 41682", "root", "2001:db8::7", 41682, ""),
    ("ssh -6 -p 41682 root@[2001:db8::7]", "root", "2001:db8::7", 41682, ""),
    ("$ ssh -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("# ssh -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("me@laptop:~$ ssh -p 41682 root@h.example", "me@laptop", "h.example", 41682, ""),
    ("me@laptop ~ % ssh -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("PS C:\\Users\\me> ssh -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("C:\\Users\\me>ssh.exe -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("\"C:\\Windows\\System32\\OpenSSH\\ssh.exe\" -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("ssh -i C:\\Users\\me\\.ssh\\id_rsa -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("`ssh -p 41682 root@h.example`", "root", "h.example", 41682, ""),
    ("“ssh -p 41682 root@h.example”", "root", "h.example", 41682, ""),
    ("登录命令：ssh　–p　41682　root@h.example。", "root", "h.example", 41682, ""),
    ("ssh —p ４１６８２ root＠h.example", "root", "h.example", 41682, ""),
    ("cd ~ && ssh -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("sudo ssh -p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("ssh -p 41682 \\\n  root@h.example", "root", "h.example", 41682, ""),
    ("Your machine is ready.\nssh -p 41682 root@h.example\npassword: abc", "root", "h.example", 41682, ""),
    ("Host gpu\n  HostName h.example\n  User root\n  Port 41682\n", "root", "h.example", 41682, ""),
    ("Host *\n  User no\nHost gpu\n\tHostName=h.example\n\tUser root\n\tPort=41682\nHost x\n User y", "root",
     "h.example", 41682, ""),
    ("Host h.example\n  User root\n  ProxyJump jump.example", "root", "h.example", 22, "jump.example"),
    ("主机：h.example\n端口：41682\n用户名：root\n密码：x", "root", "h.example", 41682, ""),
    ("Host: h.example, Port: 41682, User: root", "root", "h.example", 41682, ""),
    ("ssh root@asset@jump.example -p 2222", "root@asset", "jump.example", 2222, ""),
    ("ssh -vvv -tt -A root@h.example nvidia-smi -L", "root", "h.example", 22, ""),
    ("-p 41682 root@h.example", "root", "h.example", 41682, ""),
    ("gpu-box", "", "gpu-box", 22, ""),
]  # fmt: skip
USUAL = [(text, user.replace("me@laptop", "root"), host, port, key) for text, user, host, port, key in USUAL]


def openssh(line: str) -> dict[str, str]:
    """What OpenSSH itself reads in a printed line (``ssh -G``); without OpenSSH, what its manual says of the line."""
    words = shlex.split(line)
    assert words[0] == "ssh"
    if ssh := shutil.which("ssh"):
        done = subprocess.run(
            [ssh, "-F", "none", "-G", *words[1:]], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
        pairs = (entry.partition(" ") for entry in done.stdout.splitlines())
        return {name: value for name, _, value in pairs}
    found = {"port": "22", "proxyjump": ""}
    names = {"-p": "port", "-l": "user", "-J": "proxyjump"}
    rest = iter(words[1:])
    for word in rest:
        if word in ("-CN", "-4", "-6"):
            continue
        if word.startswith("-"):
            value = next(rest)
            if word in names:
                found[names[word]] = value
            continue
        user, _, host = word.rpartition("@")
        found |= {"host": host, "hostname": host} | ({"user": user} if user else {})
        assert next(rest, None) is None, line
    return found


@pytest.mark.parametrize(("text", "user", "host", "port", "jump"), USUAL)
def test_every_usual_form_gives_a_line_that_openssh_understands(
    text: str, user: str, host: str, port: int, jump: str
) -> None:
    read = openssh(forward_line(parse_login(text), 23333))
    assert (read["hostname"], read["port"]) == (host, str(port))
    assert not user or read["user"] == user
    assert read.get("proxyjump", "").startswith(jump)
    assert "localforward" not in read or read["localforward"] == "23333 [127.0.0.1]:23333"


@pytest.mark.parametrize(
    "text",
    [
        "ssh USER@HOST", "ssh -p <port> root@h.example", "ssh -p PORT root@h.example", "ssh root@<ip>",
        "ssh -p <端口> <用户名>@<主机>", "ssh {user}@{host}", "ssh $USER@h.example", "ssh root@YOUR_HOST",
        "ssh your-name@h.example", "ssh root@xxx.xxx.xxx.xxx", "ssh root@h.example:PORT", "ssh root@HOST -p 22",
        "ssh -p {port} root@h", "ssh root@...", "Host gpu\n HostName <ip>\n User root", "ssh -J <jump> root@h",
        "ssh -l <user> h.example",
    ],
)  # fmt: skip
def test_placeholders_are_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_login(text)
    assert caught.value.messages[0].key == "deploy.error.ssh_placeholder"


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf /", "ls -l", "curl -L http://x", "mkdir -p /x", "ping -c 4 h.example", "cat file", "hello world",
        "ssh -p -1 root@h", "root@h:", "root@h:~/x",
        "ssh root@-h", "ssh @h", "ssh root@", "ssh root@h..;ls", "ssh -Z root@h", "ssh -J 'x;ls' root@h",
        "ssh -l 'a b' h", "ssh root@[::1", "ssh root@zz::1", "Host *\n Port 22", "root@h | sh", "密码 abc", "-", "--",
        "ssh -o Port=x root@h", "ssh -i -x root@h", "http://h.example/", "ssh `reboot`@h",
        "ssh -i key root@gate ssh root@inside",
    ],
)  # fmt: skip
def test_what_is_no_login_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_login(text)
    assert caught.value.messages[0].key in ("deploy.error.ssh", "deploy.error.ssh_placeholder")


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("ssh -p 0 root@h", "0"), ("ssh -p 65536 root@h", "65536"), ("ssh root@h:99999", "99999"),
        ("ssh -o Port=70000 root@h", "70000"), ("root@h 1234567890", "1234567890"),
    ],
)  # fmt: skip
def test_a_port_that_there_isnt_is_named(text: str, port: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_login(text)
    (message,) = caught.value.messages
    assert (message.key, message.params["port"]) == ("deploy.error.ssh_port", port)


@pytest.mark.parametrize(
    "option",
    [
        "-o ProxyCommand=evil", "-oLocalCommand=evil", "-o 'proxycommand evil'", "-o PermitLocalCommand=yes",
        "-o KnownHostsCommand=evil", "-o PKCS11Provider=/tmp/e.so", "-o SecurityKeyProvider=/tmp/e.so", "-F /tmp/evil",
        "-I /tmp/evil.so", "-o Include=/tmp/evil", "-o 'Match exec evil'", "-o XAuthLocation=/tmp/evil",
        "-o RemoteCommand=evil", "-o CanonicalizeHostname=yes",
    ],
)  # fmt: skip
def test_options_that_may_run_programs_are_named_as_left_out(option: str) -> None:
    login = parse_login(f"ssh {option} -p 41682 root@h.example")
    assert login == SshLogin("root@h.example", ("-p", "41682"))
    assert login is not None
    assert len(login.left_out) == 1


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("ssh -P 41682 root@h.example", SshLogin("root@h.example", ("-p", "41682"))),
        ("ssh -- root@h.example", SshLogin("root@h.example")),
        ("ssh -i ~/.ssh/id root@h.example -- ls -l", SshLogin("root@h.example", ("-i", "~/.ssh/id"))),
        (r"ssh -p 22 LAB\user@h.example", SshLogin(r"LAB\user@h.example", ("-p", "22"))),
        ("ssh -t root@gate ssh -p 5 root@inside", SshLogin("root@inside", ("-p", "5", "-J", "root@gate"))),
        ("ssh -p 7 root@gate ssh root@inside", SshLogin("root@inside", ("-J", "root@gate:7"))),
    ],
)
def test_what_people_mean_by_it(text: str, login: SshLogin) -> None:
    assert parse_login(text) == login


def test_a_config_block_leaves_them_out_too() -> None:
    login = parse_login("Host gpu\n HostName h.example\n ProxyCommand nc %h %p\n LocalForward 1 h:1\n ForwardAgent yes")
    assert login == SshLogin("h.example")
    assert login is not None
    assert login.left_out == ("-o ProxyCommand=nc %h %p",)


WORDS = [
    "ssh", "-p", "22", "-o", "Port=1", "root@h", "h:2", "-i", "'", '"', "\\", "$(x)", "`x`", ";", "Host", "<x>",
    "ssh://", "User", "\n", "a b",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=8).map(" ".join))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_any_text_is_read_or_refused_and_what_is_printed_is_one_plain_command(text: str) -> None:
    try:
        login = parse_login(text)
    except InvalidInput:
        return
    if login is None:
        return
    words = shlex.split(forward_line(login, 23333))
    assert words == ["ssh", "-CN", "-L", "23333:127.0.0.1:23333", *login.options, login.target]
    assert re.fullmatch(r"[A-Za-z0-9._+~@#/=:%-]+", login.target)
    assert not login.target.startswith("-")
    assert forward_line(login, 23333).isprintable()
    assert parse_login(forward_line(login, 23333)) == login
