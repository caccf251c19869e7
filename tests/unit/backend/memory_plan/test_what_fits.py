"""People, tokens, a card → which model of the disk, the best first; each answer's own plan bears it out."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.errors import InvalidInput
from backend.memory_plan.formulas import MARGIN_BYTES
from backend.memory_plan.model_shape import ModelShape, read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.values import Card, Plan
from backend.memory_plan.what_fits import Candidate, Fit, Need, NoFit, checked, what_fits
from backend.models.checkpoint import read_model, read_tensors
from tests.support.machines import SERVER
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B, llama
from ui.i18n import LANGUAGES
from ui.tabs.deploy.what_fits import fits_html

SMALL_HEADS = (896, 24, 14, 2, 4864, 151936)  # head_dim 64, as Qwen2-0.5B


def card(gib: float) -> Card:
    return Card("", round(gib * 2**30), round(gib * 2**30))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> list[Candidate]:
    root = tmp_path_factory.mktemp("models")
    folders = [
        llama(root / "1_8b", INTERNLM2_5_1_8B),
        llama(root / "1_8b-w4a16", INTERNLM2_5_1_8B, awq=True),
        llama(root / "7b", INTERNLM2_5_7B),
        llama(root / "7b-w4a16", INTERNLM2_5_7B, awq=True),
        llama(root / "half", SMALL_HEADS, tied=True),
    ]
    return [_candidate(folder) for folder in folders]


def _candidate(folder: Path) -> Candidate:
    model = read_model(folder)
    return Candidate(model, read_shape(model, read_tensors(folder)), "turbomind")


def fitting(disk: Sequence[Candidate], need: Need, on: Card) -> tuple[tuple[Fit, ...], tuple[NoFit, ...]]:
    def plan_of(shape: ModelShape, config: ServeConfig) -> Plan:
        return plan(shape, config, on)

    return what_fits(disk, need, on, plan_of)


@pytest.mark.parametrize("gib", [6, 12, 16, 24, 40, 80])
@pytest.mark.parametrize("need", [Need(1, 2000), Need(20, 4000), Need(5, 32000), Need(300, 1000)])
def test_every_answer_holds_what_was_asked(disk: list[Candidate], gib: float, need: Need) -> None:
    on = card(gib)
    fits, rest = fitting(disk, need, on)
    assert len(fits) + len(rest) == len(disk)
    shapes = {one.model.name: one.shape for one in disk}
    for fit in fits:
        made = plan(shapes[fit.model.name], fit.config, on)
        assert made.chats(need.tokens) >= need.people
        assert made.free_after_bytes >= MARGIN_BYTES
        assert fit.config.session_len == need.tokens
        if need.people > 128:
            assert fit.config.extra == ("--max-batch-size", str(need.people))
        checks = ENGINES["turbomind"].check(fit.config, fit.model, SERVER)
        assert [m for m in checks if m.level == "error"] == []
    order = [(-(fit.model.parameters or 0), -fit.weight_bits, -fit.kv_bits) for fit in fits]
    assert order == sorted(order)


def test_a_class_of_twenty_on_24_gib(disk: list[Candidate]) -> None:
    fits, rest = fitting(disk, Need(20, 4000), card(24))
    names = [fit.model.name for fit in fits]
    assert names == ["7b", "7b-w4a16", "1_8b", "1_8b-w4a16", "half"]
    # 80,000 tokens of the 7B take 9.8 GiB in 16 bits, too much beside its 14.4 GiB, and half of that in 8.
    assert (fits[0].kv_bits, fits[1].kv_bits) == (8, 16)
    assert rest == ()


def test_what_does_not_fit_is_told_with_what_lacks(disk: list[Candidate]) -> None:
    fits, rest = fitting(disk, Need(20, 4000), card(6))
    assert "7b" not in [fit.model.name for fit in fits]
    lacks = {one.model.name: one.why for one in rest}
    assert lacks["7b"].key == "fits.lacks"
    assert float(str(lacks["7b"].params["gib"])) > 8
    _, rest = fitting(disk, Need(1, 100_000), card(80))
    assert {one.why.key for one in rest} == {"fits.context"}


def test_a_head_of_64_gets_no_cache_of_4_bits(disk: list[Candidate]) -> None:
    for people in (1, 50, 200, 800, 2000):
        fits, _ = fitting(disk[-1:], Need(people, 4000), card(24))
        assert all(fit.kv_bits in (8, 16) for fit in fits)


@pytest.mark.parametrize(("people", "tokens"), [(0, 1), (-1, 1), (10_001, 1), (1, 0), (1, 10**8)])
def test_numbers_that_cannot_be(people: int, tokens: int) -> None:
    with pytest.raises(InvalidInput):
        checked(people, tokens)


def test_what_the_page_says(disk: list[Candidate]) -> None:
    for language in LANGUAGES:
        for gib in (1, 6, 24):
            fits, rest = fitting(disk, Need(20, 4000), card(gib))
            html = fits_html(fits, rest, 20, 4000, language)
            assert html.count("<li data-model") == len(fits)
            assert "{" not in html.split("data-remedy")[0]
        assert "deploy-note" in fits_html((), (), 1, 1, language)
