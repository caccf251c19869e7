"""The controls for further flags: what they write, what they show, and which of them this LMDeploy has."""

import shlex

import pytest

from backend.errors import InvalidInput
from backend.machine.flags import check_extra, snapshot
from tests.support.machines import ASKED_COURSE
from ui.tabs.deploy.flag_controls import FLAGS, hiding_html, values_of, with_values

NONE = values_of(())


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("", {}),
        ("--enable-prefix-caching", {"prefix": True}),
        ("--max-batch-size 64 --log-level INFO", {"batch": "64"}),
        ("--max-batch-size=64", {"batch": "64"}),
        ("--chat-template '/a b/t.json'", {"template": "/a b/t.json"}),
        ("--adapters a=/x 'b=/y z' --eager-mode", {"adapters": "a=/x 'b=/y z'"}),
        ("--tool-call-parser qwen3 --reasoning-parser default", {"tools": "qwen3", "reasoning": "default"}),
        ("--speculative-algorithm eagle3 --speculative-draft-model /d --speculative-num-draft-tokens 4",
         {"speculative": "eagle3", "draft": "/d", "draft-tokens": "4"}),
        ("--max-batch-size", {}),
    ],
)  # fmt: skip
def test_both_ways(words: str, shown: dict[str, object]) -> None:
    given = tuple(shlex.split(words))
    assert values_of(given) == {**NONE, **shown}
    assert with_values(given, values_of(given)) == given  # nothing changes, nothing moves
    written = with_values((), {**NONE, **shown})
    assert values_of(written) == {**NONE, **shown}
    assert [m for m in check_extra(written, snapshot().serve, {}) if m.level == "error"] == []


def test_what_else_stands_there_is_left() -> None:
    words = ("--log-level", "INFO", "--max-batch-size=64", "--enable-prefix-caching", "--max-prefill-token-num", "9")
    changed = with_values(words, {**values_of(words), "batch": "8", "prefix": False, "rope": " 2.0 "})
    assert changed == (
        "--log-level", "INFO", "--max-prefill-token-num", "9", "--max-batch-size", "8", "--rope-scaling-factor", "2.0",
    )  # fmt: skip
    assert with_values(changed, NONE) == ("--log-level", "INFO", "--max-prefill-token-num", "9")


def test_broken_quotes_are_told() -> None:
    with pytest.raises(InvalidInput):
        with_values((), {**NONE, "adapters": "a='x"})


def test_what_this_version_lacks_is_hidden() -> None:
    serve = snapshot().serve
    assert all(f"#deploy-flag-{name}" not in hiding_html("pytorch", serve) for name in FLAGS)
    turbomind = hiding_html("turbomind", serve)
    assert "#deploy-flag-adapters" in turbomind
    assert "#deploy-flag-prefix" not in turbomind
    assert ASKED_COURSE.capabilities is not None
    older = hiding_html("pytorch", ASKED_COURSE.capabilities.serve)
    assert "#deploy-flag-tools" in older
    assert "#deploy-flag-batch" not in older
