// @ts-check
/** The open tab stands in the address ("#vram"), so that a reload stays there and a link leads there. */

const root = globalThis.document?.documentElement;

/** The tabs that this visitor has, in their order. */
const buttons = () =>
  [...document.querySelectorAll('#tabs [role="tab"]')].filter((button) => button.id.endsWith("-tab-button"));

/** @param {Element} button */
const nameOf = (button) => button.id.replace(/-tab-button$/, "");

/** The open tab's name. */
export const openTab = () => root.dataset.tab ?? "";

/** @param {string} name */
export function showTab(name) {
  if (name !== openTab()) document.getElementById(`${name}-tab-button`)?.click();
}

/** The tab so many further on, around the end. @param {number} steps */
export function stepTab(steps) {
  const names = [...new Set(buttons().map(nameOf))];
  const next = names[(names.indexOf(openTab()) + steps + names.length) % names.length];
  if (next) showTab(next);
}

/** From now on address and tab say the same. */
export function keepTabInAddress() {
  const follow = () => {
    const open = buttons().find((button) => button.getAttribute("aria-selected") === "true");
    if (!open || nameOf(open) === openTab()) return;
    root.dataset.tab = nameOf(open);
    if (location.hash.slice(1) !== nameOf(open)) history.pushState(null, "", `#${nameOf(open)}`);
  };
  const tabs = document.getElementById("tabs");
  if (!tabs) return;
  const watched = { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"] };
  new MutationObserver(follow).observe(tabs.querySelector(".tab-wrapper") ?? tabs, watched);
  const first = openTab();
  addEventListener("popstate", () => showTab(location.hash.slice(1) || first));
  follow();
}
