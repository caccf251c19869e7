"""A pasted block on each tab, without a browser: what it fills, what it says, where else it goes, what a class may."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pytest

from backend.services import Services, build_services
from tests.conftest import make_settings
from tests.support.tiny_models import fake_model
from ui.paste.handlers import pasted
from ui.tabs.chat.paste import TARGET as CHAT
from ui.tabs.deploy.paste import TARGET as DEPLOY
from ui.tabs.deploy.values import CONTROLS as DEPLOY_CONTROLS
from ui.tabs.quantize.paste import TARGET as QUANTIZE
from ui.tabs.quantize.values import CONTROLS as QUANTIZE_CONTROLS
from ui.tabs.vram.paste import TARGET as VRAM
from ui.web.visitor import Role

TARGETS = {target.tab: target for target in (DEPLOY, QUANTIZE, CHAT, VRAM)}
Ask = Callable[..., gr.Request]
BLOCK = """lmdeploy lite auto_awq /root/models/small --calib-dataset ptb --calib-samples 64 --search-scale False \\
  --device cuda --work-dir /root/models/small-4bit
lmdeploy chat /root/models/small --tp 2 --no-such-flag 5
nvidia-smi
"""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    fake_model(tmp_path / "models" / "small")
    services = build_services(make_settings(tmp_path / "state", models=(tmp_path / "models",)))
    yield services
    services.close()


def goes(html: str) -> list[str]:
    return re.findall(r'data-go="go_(\w+)"', html)


def test_each_tab_takes_what_is_its_own(services: Services, ask: Ask) -> None:
    html, *values = pasted(services, ask(), TARGETS, "deploy", BLOCK)
    filled = dict(zip(DEPLOY_CONTROLS, values, strict=True))
    small = str(services.settings.models[0] / "small")
    assert (filled["model"], filled["tp"], filled["quant_policy"]) == (small, "2", "0")
    assert goes(html) == ["quantize", "vram"]
    assert 'data-key="deploy.paste.done"' in html
    assert 'data-key="paste.flag_unknown"' in html
    assert "--no-such-flag 5" in html

    html, *values = pasted(services, ask(language="zh"), TARGETS, "quantize", BLOCK)
    filled = dict(zip(QUANTIZE_CONTROLS, values, strict=True))
    assert (filled["model"], filled["dataset"], filled["samples"], filled["seqlen"]) == (small, "wikitext2", 64, 2048)
    assert (filled["search_scale"], filled["device"], filled["bits"]) == (False, "cpu", "4")
    assert filled["output"] == str(services.settings.models[0] / "small-4bit")  # /root/models isn't here
    for key in ("quantize.paste.done", "paste.dataset_gone", "paste.no_gpu", "paste.output_moved"):
        assert f'data-key="{key}"' in html
    assert goes(html) == ["deploy", "vram"]

    html, server = pasted(services, ask(), TARGETS, "chat", BLOCK)
    assert server == gr.skip()
    assert goes(html) == ["quantize", "deploy", "vram"]
    assert goes(pasted(services, ask(), TARGETS, "vram", BLOCK)[0]) == ["quantize", "deploy"]


def test_a_command_is_chosen_by_its_place(services: Services, ask: Ask) -> None:
    block = "lmdeploy chat /a --tp 2\nlmdeploy chat /b --tp 4"
    html, *values = pasted(services, ask(), TARGETS, "deploy", block, 1)
    assert dict(zip(DEPLOY_CONTROLS, values, strict=True))["tp"] == "4"
    assert goes(html) == ["deploy"]  # the other one


def test_an_address(services: Services, ask: Ask) -> None:
    line = "lmdeploy serve api_client http://10.0.0.7:23333"
    html, server = pasted(services, ask(), TARGETS, "chat", line)
    assert server == gr.skip()
    assert 'data-key="paste.no_server"' in html
    assert goes(html) == ["deploy"]
    html, *values = pasted(services, ask(), TARGETS, "deploy", line)
    filled = dict(zip(DEPLOY_CONTROLS, values, strict=True))
    assert (filled["engine"], filled["address"]) == ("external", "http://10.0.0.7:23333")
    assert goes(html) == ["chat"]


def test_an_ssh_line_is_kept_from_any_tab(services: Services, ask: Ask) -> None:
    html, *_ = pasted(services, ask(), TARGETS, "vram", "ssh -p 41682 root@ssh.example.com")
    assert "root@ssh.example.com" in html
    assert services.store.get_json("setting", "ssh_login") == "ssh -p 41682 root@ssh.example.com"
    html, *_ = pasted(services, ask(), TARGETS, "vram", "ssh me@<host>")
    assert 'role="alert"' in html
    assert services.store.get_json("setting", "ssh_login") == "ssh -p 41682 root@ssh.example.com"


def test_a_class_reads_on_its_tabs_and_changes_nothing(services: Services, ask: Ask) -> None:
    guest = ask(Role.CLASS)
    html, *values = pasted(services, guest, TARGETS, "deploy", BLOCK)
    assert 'data-key="common.operator_only"' in html
    assert all(value == gr.skip() for value in values)
    html, _ = pasted(services, guest, TARGETS, "chat", BLOCK + "ssh root@h")
    assert goes(html) == ["vram"]
    assert services.store.get_json("setting", "ssh_login") is None


@pytest.mark.parametrize("text", ["", "   \n", None, "# only a comment"])
def test_nothing_to_read(services: Services, ask: Ask, text: str | None) -> None:
    html, *values = pasted(services, ask(), TARGETS, "deploy", text)
    assert 'role="alert"' in html
    assert "{field}" not in html
    assert all(value == gr.skip() for value in values)


def test_markup_stays_text(services: Services, ask: Ask) -> None:
    html, *_ = pasted(services, ask(), TARGETS, "deploy", "lmdeploy chat '/m<b>x' --y '<script>alert(1)</script>'")
    assert "<script>" not in html
