"""Formulas between single dollars, and the dollars that are none."""

import pytest

from ui.tabs.chat.answer_inline import DISPLAY, WITHIN
from ui.tabs.chat.answer_markup import answer_markup

LEFT, RIGHT = WITHIN

FORMULAS = [
    "x", "n", "x_1", "x^2", "a = b", "E = mc^2", "O(n^2)", "\\alpha", "\\frac{1}{2}", "x, y",
    "f(x)", "a+b", "2 \\times 3", "\\text{显存} = 14\\,\\text{GB}", "W_{q}", "[0, 1]", "\\{1, 2\\}", "|x|", "n \\ge 3",
    "f'(x)", "a/b", "1 + 0.8 \\times 10", "p(x \\mid y)", "\\mathrm{softmax}(QK^\\top)", "α", "k < n",
]  # fmt: skip

PROSE = [
    "It costs $5 and $10.",
    "$5$",
    "between $5-$10 a month",
    "$5/month or $50/year",
    "from $1,000 to $2,000, or A$30",
    "赚了$5，花了$3。",
    "价格是$5或5$。",
    "echo $HOME:$PATH",
    "$AAPL, $MSFT and $GOOG",
    "$3 to 5$ each",
    "I paid 5$ and 6$ more",
    "(Cost: $1.50/$2.00)",
    "$100M-$200M",
    "US$5 and CA$6",
    "a $ sign and another $ sign",
    "$",
    "$$",
    "$ x $",
    "price: $5 (was $7)",
    "$name = $other",
    "\\$5\\$",
    "the `$x$` of code",
    "$10 per seat, that's 2$",
    "$a\nb$",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(
    "around", ["{}", "so {}.", "设 {}，则", "({})", "**{}**", "| a |\n|---|\n| {} |", "- {} is it"]
)
def test_formulas_are_formulas(formula: str, around: str) -> None:
    if "|" in formula and around.startswith("|"):
        return
    shown = answer_markup(around.format(f"${formula}$"))
    formula = formula.replace("<", "&lt;").replace(">", "&gt;")
    assert f"{LEFT}{formula}{RIGHT}" in shown


@pytest.mark.parametrize("prose", PROSE)
def test_prices_stay_prices(prose: str) -> None:
    shown = answer_markup(prose)
    assert LEFT not in shown
    assert DISPLAY[0] not in shown
    assert shown.count("$") == prose.count("$")
