"""The form's values, its choices, and who may use it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import ConsoleError, Forbidden, InvalidInput
from backend.models.catalog import Catalog
from backend.models.checkpoint import read_model
from backend.quantization import calibration_sets
from backend.quantization.base import QuantConfig
from tests.support.tiny_models import fake_model
from ui.tabs.quantize import choices
from ui.tabs.quantize.handlers import Handlers
from ui.tabs.quantize.values import CONTROLS, form_values, read_form
from ui.web.visitor import Role


def arguments(**changes: object) -> list[object]:
    held = form_values(QuantConfig(model="/m", output="/o")) | changes
    return [held[name] for name in CONTROLS]


def test_there_and_back() -> None:
    config = QuantConfig(
        "/m", "/o", device="cuda:0", dataset="own", text="abc", samples=7, seqlen=99, batch_size=3, group_size=64,
        symmetric=True, search_scale=True, dtype="float16", trust_remote_code=True, mirror="https://x", environment="e",
    )  # fmt: skip
    assert read_form([form_values(config)[name] for name in CONTROLS]) == (config, "")


def test_what_browsers_and_people_send() -> None:
    config, typed = read_form(
        arguments(
            samples=128.0, seqlen="1,024", batch_size="", bits="4 · four", device="cpu · slow",
            dataset="none · no data", text="hello", trust_remote_code="true", symmetric=None, output=" /o ",
        )
    )  # fmt: skip
    assert (config.samples, config.seqlen, config.batch_size, config.bits) == (128, 1024, 1, 4)
    assert (config.device, config.dataset, config.output) == ("cpu", "none", "/o")
    assert (config.trust_remote_code, config.symmetric, typed) == (True, False, "hello")


@pytest.mark.parametrize("value", ["many", "1.5", "1e999", "nan"])
def test_numbers_that_are_none(value: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read_form(arguments(samples=value, seqlen=value))
    assert [message.field for message in error.value.messages] == ["quantize-samples", "quantize-seqlen"]


def test_the_catalogue_offers_what_can_be_quantized(tmp_path: Path) -> None:
    fake_model(tmp_path / "good")
    awq = {"architectures": ["Qwen2ForCausalLM"], "quantization_config": {"quant_method": "awq", "bits": 4}}
    fake_model(tmp_path / "done", awq)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    offered = choices.model_choices(Catalog((tmp_path,)).models())
    assert [value for _, value in offered] == [str(tmp_path / "good")]


def test_a_place_for_the_result(tmp_path: Path) -> None:
    model = read_model(fake_model(tmp_path / "m" / "name"))
    assert choices.suggested_output(model, "awq", []) == str(tmp_path / "m" / "name-w4a16-4bit")
    cached = read_model(fake_model(tmp_path / "hub" / "models--a--b" / "snapshots" / "123"), "a/b")
    (tmp_path / "own").mkdir()
    assert choices.suggested_output(cached, "awq", [tmp_path / "own"]) == str(tmp_path / "own" / "b-w4a16-4bit")
    assert choices.suggested_output(cached, "awq", []) == str(Path.home() / "models" / "b-w4a16-4bit")


def test_a_class_may_not_use_the_form(ask: Callable[..., Any]) -> None:
    """Every handler that writes or reads the machine asks who it is before it does anything."""
    handlers = Handlers(SimpleNamespace())  # type: ignore[arg-type]  # nothing of it may be touched
    request = ask(Role.CLASS)
    for html in (
        handlers.preview(request, *arguments())[1],
        handlers.start(request, *arguments())[0],
        handlers.cancel(request, "x"),
        handlers.count(request, *arguments()),
        handlers.upload(request, "/etc/passwd")[3],
        handlers.edit(request, "x")[0],
        handlers.deploy(request, "x")[4],
    ):
        assert 'data-key="common.operator_only"' in html
    with pytest.raises(Forbidden):
        handlers.refresh_models(request)
    assert issubclass(Forbidden, ConsoleError)


# Datasets


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/datasets/allenai/c4" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def mirror() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_dataset_is_here_reachable_or_neither(mirror: str, own_folders: Path) -> None:
    assert calibration_sets.availability("c4", mirror) == "reachable"
    assert calibration_sets.availability("gsm8k", mirror) == "neither"
    assert calibration_sets.availability("c4", "http://127.0.0.1:9") == "neither"
    prepared = calibration_sets.cache_folder() / "open_ai___gsm8k" / "main" / "0.0.0" / "abc"
    prepared.mkdir(parents=True)
    assert calibration_sets.availability("gsm8k", mirror) == "neither"
    (prepared / "dataset_info.json").write_text("{}")
    assert calibration_sets.availability("gsm8k", mirror) == "cached"
