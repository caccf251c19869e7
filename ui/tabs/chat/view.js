// @ts-check
/** How much of the window the conversation takes: down to the window's end, and with or without what stands beside it. */

import { remember, remembered } from "../../page/browser_storage.js";
import { byId, el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";

const CLOSED = "console-chat-side";

/** The tab reaches down to the window's end, wherever the header lets it begin. */
export function fillWindow() {
  const columns = byId("chat-columns");
  if (!columns) return;
  const measure = () => {
    if (columns.offsetParent === null) return;
    const type = Number(getComputedStyle(document.documentElement).getPropertyValue("--type")) || 1;
    const top = (columns.getBoundingClientRect().top + scrollY) / type;
    columns.style.setProperty("--chat-top", `${Math.round(top)}px`);
  };
  new ResizeObserver(measure).observe(byId("header") ?? columns);
  new IntersectionObserver(measure).observe(columns);
  addEventListener("resize", measure);
  measure();
}

/** The switch for settings and code, remembered. @param {HTMLElement} element */
export function sideSwitch(element) {
  const { dataset } = document.documentElement;
  const name = t("chat.view.settings");
  const button = el("button", {
    class: "button icon",
    type: "button",
    id: "chat-view-side",
    title: name,
    "aria-label": name,
    "aria-controls": "chat-side",
    dataset: { icon: "settings" },
  });
  const show = () => button.setAttribute("aria-expanded", String(dataset.chatSide !== "closed"));
  button.addEventListener("click", () => {
    if (dataset.chatSide === "closed") delete dataset.chatSide;
    else dataset.chatSide = "closed";
    remember(CLOSED, dataset.chatSide ?? "open");
    show();
  });
  if (remembered(CLOSED) === "closed") dataset.chatSide = "closed";
  show();
  fill(element, button);
}
