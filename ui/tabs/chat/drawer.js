// @ts-check
/** Whether the list of conversations is seen: beside the chat on a wide page, over it on a narrow one. */

import { remember, remembered } from "../../page/browser_storage.js";
import { byId, el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";

const CLOSED = "console-chat-list";
const NARROW = globalThis.matchMedia?.("(max-width: 1100px)");
const { dataset } = globalThis.document?.documentElement ?? { dataset: /** @type {DOMStringMap} */ ({}) };

const isOpen = () => (NARROW?.matches ? dataset.chatDrawer === "open" : dataset.chatList !== "closed");

/** @type {HTMLButtonElement | null} */
let button = null;

function say() {
  button?.setAttribute("aria-expanded", String(isOpen()));
}

/** Opens or closes it where it lies over the conversation. @param {boolean} open */
export function showDrawer(open) {
  if (!NARROW?.matches) return;
  if (open) dataset.chatDrawer = "open";
  else delete dataset.chatDrawer;
  say();
}

/** Its switch, in the chat's first line; a wide page remembers it. @param {HTMLElement} element */
export function drawerSwitch(element) {
  const name = t("chat.list.title");
  button = el("button", {
    class: "button icon",
    type: "button",
    id: "chat-view-list",
    title: name,
    "aria-label": name,
    "aria-controls": "chat-list",
    dataset: { icon: "list" },
    onclick: toggle,
  });
  if (remembered(CLOSED) === "closed") dataset.chatList = "closed";
  fill(element, button);
  say();
  NARROW?.addEventListener("change", say);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !NARROW?.matches || dataset.chatDrawer !== "open") return;
    event.preventDefault();
    showDrawer(false);
    button?.focus();
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Element && !target.closest("#chat-list, #chat-view-list, dialog")) showDrawer(false);
  });
}

function toggle() {
  if (NARROW?.matches) {
    showDrawer(!isOpen());
    if (isOpen()) byId("chat-search")?.focus();
    return;
  }
  if (dataset.chatList === "closed") delete dataset.chatList;
  else dataset.chatList = "closed";
  remember(CLOSED, dataset.chatList ?? "open");
  say();
}
