"""The settings beside the form: read from whatever a page tells, shown so that reading gives them again."""

from typing import Any

import pytest

from backend.chat.abilities import check_able
from backend.chat.conversation import Sampling
from backend.chat.prompt import sampling_fields
from backend.chat.snippets import Target, python_code
from backend.engines.base import ServeConfig
from backend.errors import InvalidInput
from tests.support.servers_of import server
from ui.tabs.chat.options import options_of, read_options
from ui.tabs.chat.preset_list import presets_value, shipped
from ui.tabs.chat.values import CONTROLS, Form

FORM = Form("s", "", "", 0.8, 0.8, 1024, [])


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({}, Sampling()),
        ({"top_k": "", "seed": None, "stop": ""}, Sampling()),
        ({"top_k": "40", "repetition_penalty": "1.1", "seed": 7.0}, Sampling(top_k=40, repetition_penalty=1.1, seed=7)),
        ({"stop": "END\n\n\\n\\n\nC:\\\\n\nEND"}, Sampling(stop=("END", "\n\n", "C:\\n"))),
        ({"unknown": 1, "stop": 5}, Sampling()),
    ],
)
def test_options_are_read_and_shown(told: dict[str, Any], found: Sampling) -> None:
    assert FORM.sampling(told) == found
    assert FORM.sampling(options_of(found)) == found


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"top_k": "?"}, "chat.error.no_number"),
        ({"top_k": "1.5"}, "chat.error.no_whole_number"),
        ({"top_k": 0}, "chat.error.top_k"),
        ({"top_k": [1]}, "chat.error.no_number"),
        ({"repetition_penalty": -1}, "chat.error.repetition_penalty"),
        ({"repetition_penalty": "nan"}, "chat.error.no_number"),
        ({"seed": -1}, "chat.error.seed"),
        ({"seed": "1e300"}, "chat.error.no_number"),
        ({"stop": "\n".join(map(str, range(9)))}, "chat.error.stop_count"),
        ({"stop": "x" * 101}, "chat.error.stop_long"),
    ],
)
def test_a_bad_option_names_its_control(told: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        FORM.sampling(told)
    [message] = caught.value.messages
    assert message.key == key
    assert message.field in CONTROLS


def test_options_go_to_the_server_in_its_own_words() -> None:
    sampling = Sampling(top_k=40, repetition_penalty=1.1, seed=0, stop=("END",))
    own = sampling_fields(sampling, "turbomind")
    assert (own["top_k"], own["repetition_penalty"], own["seed"], own["stop"]) == (40, 1.1, 0, ["END"])
    other = sampling_fields(sampling, "transformers")
    assert other["frequency_penalty"] == 0.1
    assert "repetition_penalty" not in other
    code = python_code({"model": "m", "messages": [], **own}, Target("http://x/v1"))
    assert "    extra_body={'top_k': 40, 'repetition_penalty': 1.1},\n" in code
    assert "    seed=0,\n" in code
    compile(code, "shown", "exec")


def test_what_a_server_cannot_is_known_before() -> None:
    able = server("a", config=ServeConfig("turbomind", "m"))
    unable = server("b", config=ServeConfig("transformers", "m"))
    check_able(Sampling(top_k=5), (able,))
    check_able(Sampling(seed=5), (unable,))
    with pytest.raises(InvalidInput) as caught:
        check_able(
            Sampling(top_k=5),
            (server("a", config=ServeConfig("turbomind", "m")), server("b", config=ServeConfig("transformers", "m"))),
        )
    [message] = caught.value.messages
    assert (message.key, message.field) == ("chat.error.unable.top_k", "top_k")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_some_presets_come_with_the_console(language: Any) -> None:
    offered = presets_value((), language)["presets"]
    assert {one["prompt"] for one in offered} == {True, False}
    assert all(one["key"] and one["name"] for one in offered)
    for _, preset in shipped(language):
        assert not preset.prompt or (preset.sampling.system and preset.question)
    assert read_options({})
