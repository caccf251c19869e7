import pytest

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
