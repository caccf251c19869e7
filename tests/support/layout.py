"""Whether a page's controls stand apart and in line: what a person sees at one glance, asked of the browser."""

from typing import Any

from playwright.sync_api import Page

# Controls that are seen within the element, with their boxes; what is meant to be unseen isn't looked at.
_CONTROLS = """(root) => {
  const wanted = "button, input, textarea, select, summary, a[href], [role=slider], pre.code, .plan-verdict";
  return [...document.querySelectorAll(wanted)].filter((e) => {
    const seen = e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!root.contains(e) || e.closest(".unseen") || !seen) return false;
    const box = e.getBoundingClientRect();
    return box.width > 1 && box.height > 1;
  });
}"""

_OVERLAPS = """(selector) => {
  const root = document.querySelector(selector);
  const all = (CONTROLS)(root);
  const said = (e) => (e.ariaLabel || e.innerText || e.value || "").trim().slice(0, 30);
  const named = (e) => `${e.tagName.toLowerCase()} ${e.closest("[id]")?.id} “${said(e)}”`;
  const found = [];
  for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) {
    if (a.contains(b) || b.contains(a)) continue;
    const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 1) found.push(`${named(a)} and ${named(b)}: ${wide.toFixed(0)} × ${high.toFixed(0)}`);
  }
  return found;
}""".replace("CONTROLS", _CONTROLS)

# In each row of a form, inputs whose fields stand side by side end on one line; a button beside one as well.
_MISALIGNED = """(selector) => {
  const root = document.querySelector(selector);
  const found = [];
  for (const row of root.querySelectorAll(".row")) {
    if (row.querySelector(".row") || !row.checkVisibility()) continue;
    const boxes = [...row.querySelectorAll(":scope > .form > .block, :scope > .block, :scope > button")]
      .filter((block) => block.checkVisibility())
      .map((block) => {
        const fields = [...block.querySelectorAll(".wrap-inner, .input-container > *, input[type=number]")];
        const field = block.matches("button") ? block : fields.filter((one) => one.checkVisibility())[0];
        return field && { name: block.id, block: block.getBoundingClientRect(), field: field.getBoundingClientRect() };
      })
      .filter(Boolean);
    for (const [i, a] of boxes.entries()) for (const b of boxes.slice(i + 1)) {
      const beside = Math.min(a.block.bottom, b.block.bottom) - Math.max(a.block.top, b.block.top) > 8;
      if (beside && Math.abs(a.field.bottom - b.field.bottom) > 1.5)
        found.push(`${a.name} ${a.field.bottom.toFixed(1)} and ${b.name} ${b.field.bottom.toFixed(1)}`);
    }
  }
  return found;
}"""

# Text that its own box cuts off or that runs into another's arrow.
_CUT = """(selector) => {
  const found = [];
  for (const wrap of document.querySelectorAll(`${selector} .secondary-wrap`)) {
    const [input, icon] = [wrap.querySelector("input"), wrap.querySelector(".icon-wrap")];
    if (!input?.checkVisibility() || !icon) continue;
    const style = getComputedStyle(input);
    const end = input.getBoundingClientRect().right - parseFloat(style.paddingRight);
    if (end > icon.getBoundingClientRect().left + 1) found.push(`${wrap.closest("[id]").id}: text under the arrow`);
  }
  return found;
}"""


def overlaps(page: Page, within: str) -> list[str]:
    """Pairs of controls that cover one another."""
    found: list[Any] = page.evaluate(_OVERLAPS, within)
    return [str(one) for one in found]


def misaligned(page: Page, within: str) -> list[str]:
    """Pairs of inputs of one row that don't stand on one line."""
    found: list[Any] = page.evaluate(_MISALIGNED, within)
    return [str(one) for one in found]


def cut_off(page: Page, within: str) -> list[str]:
    """Dropdowns whose text runs under their arrow."""
    found: list[Any] = page.evaluate(_CUT, within)
    return [str(one) for one in found]


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
