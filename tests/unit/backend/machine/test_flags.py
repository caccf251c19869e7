"""Further flags as text: split, checked against a parser, abbreviations included."""

import json

import pytest

from backend.errors import InvalidInput, Message
from backend.machine.flags import (
    LMDEPLOY_OWNED,
    SNAPSHOT,
    TRANSFORMERS_OWNED,
    Flag,
    check_extra,
    choices,
    find,
    from_json,
    snapshot,
    split_extra,
)

SERVE = snapshot().serve


def problems(text: str) -> list[Message]:
    return list(check_extra(split_extra(text), SERVE, LMDEPLOY_OWNED))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--max-batch-size 8",
        "--max-batch-size=8",
        "--max_batch_size 8",
        "--max-batch 8",
        "--enable-prefix-caching --log-level INFO",
        "--hf-overrides '{\"rope\": 1}'",
        "--hf-overrides.rope_theta 100",
        "--adapters a=/x b=/y --eager-mode",
        "--rope-scaling-factor -1.5",
        "--async 0",
        "--chat-template 'my template.json' \\\n --max-log-len 10",
        "--tool-call-parser qwen3",
        "--cudagraph-capture-batch-sizes 1 2 4",
    ],
)
def test_good_flags(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "key", "params"),
    [
        ("--max-bach-size 8", "engines.extra.unknown", {"flag": "--max-bach-size", "nearest": "--max-batch-size"}),
        ("--zzzzzzzz 1 2", "engines.extra.unknown-alone", {"flag": "--zzzzzzzz"}),
        ("--max", "engines.extra.ambiguous", {"flag": "--max"}),
        ("--", "engines.extra.unknown-alone", {"flag": "--"}),
        ("8 --eager-mode", "engines.extra.not-a-flag", {"word": "8"}),
        ("--max-batch-size", "engines.extra.value-missing", {"flag": "--max-batch-size"}),
        ("--max-batch-size many", "engines.extra.int", {"value": "many"}),
        ("--rope-scaling-factor inf", "engines.extra.float", {"value": "inf"}),
        ("--hf-overrides {", "engines.extra.json", {"value": "{"}),
        ("--log-level LOUD", "engines.extra.choice", {"value": "LOUD"}),
        ("--eager-mode=1", "engines.extra.no-value", {"flag": "--eager-mode"}),
        ("--eager-mode 1", "engines.extra.not-a-flag", {"word": "1"}),
        ("-x", "engines.extra.unknown-alone", {"flag": "-x"}),
    ],
)
def test_bad_flags(text: str, key: str, params: dict[str, str]) -> None:
    (problem,) = problems(text)
    assert (problem.key, problem.field) == (key, "extra")
    assert params.items() <= dict(problem.params).items()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("--tp 2", "tp"),
        ("--t 2", ""),  # --tp, --tool-call-parser, --trust-remote-code
        ("--tru", "trust_remote_code"),
        ("--quant_pol 4", "quant_policy"),
        ("--server-port=1", "port"),
        ("--server-n 0.0.0.0", "extra"),
        ("--api-keys a b", "extra"),
        ("--api-k a", "extra"),
        ("--ssl", "extra"),
        ("--allow-o '*'", "extra"),
        ("--allowed-media-domains example.org", "extra"),
        ("-h", "extra"),
        ("--help", "extra"),
        ("--backend pytorch", "engine"),
        ("--model-f awq", "model_format"),
    ],
)
def test_what_a_control_or_the_console_owns(text: str, field: str) -> None:
    (problem,) = problems(text)
    if field:
        expected = "engines.extra.console-owned" if field == "extra" else "engines.extra.owned"
        assert (problem.key, problem.field) == (expected, field)
    else:
        assert problem.key == "engines.extra.ambiguous"


def test_everything_wrong_is_told_at_once() -> None:
    words = split_extra("--tp 2 --nonsense-flag --max-batch-size x")
    assert len(check_extra(words, SERVE, LMDEPLOY_OWNED)) == 3
    assert not check_extra(split_extra("--eager-mode"), SERVE, LMDEPLOY_OWNED)


def test_an_open_quote() -> None:
    with pytest.raises(InvalidInput) as caught:
        split_extra("--chat-template 'x")
    assert caught.value.messages[0].key == "engines.extra.quotes"


def test_transformers_flags() -> None:
    flags = snapshot().transformers_serve
    assert check_extra(("--default-seed", "1", "--no-compile"), flags, TRANSFORMERS_OWNED) == ()
    for text in ("--host 0.0.0.0", "--enable-cors", "--device cuda"):
        (problem,) = check_extra(split_extra(text), flags, TRANSFORMERS_OWNED)
        assert problem.key == "engines.extra.console-owned"


def test_the_snapshot_has_what_the_form_offers() -> None:
    known = snapshot()
    assert choices(known.serve, "--quant-policy") == ("0", "4", "8", "16", "17", "42")
    assert "awq" in choices(known.serve, "--model-format")
    assert "wikitext2" in choices(known.awq, "--calib-dataset")
    assert "qwen3" in choices(known.serve, "--tool-call-parser")
    assert choices(known.serve, "--no-such-flag") == ()
    assert find(known.serve, "--tp") == Flag(
        ("--tp",), "int", default="1", help="GPU number used in tensor parallelism. Should be 2^n"
    )
    assert {name for name in LMDEPLOY_OWNED if find(known.serve, name) is None} == set()
    assert {name for name in TRANSFORMERS_OWNED if find(known.transformers_serve, name) is None} == {"--help"}


def test_nonsense_is_no_capabilities() -> None:
    value = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    with pytest.raises(KeyError):
        from_json(value | {"serve": [{}]}, "parser")
    assert from_json({}, "parser").serve == ()
