// @ts-check
/** Keys for what is done often. Single letters count only where nobody writes, and can be switched off. */

import { remember, remembered } from "./browser_storage.js";
import { later } from "./later.js";
import { openTab, showTab, stepTab } from "./tabs.js";

const OFF = "console-keys";
const LONGEST_MS = 5000; // a tab's script may still be on its way

/** What a key sets off elsewhere: a tab's script listens to it (`onCommand`). */
/** @typedef {"stop" | "new" | "write"} Command */

/** @type {Map<Command, () => void>} */
const commands = new Map();

/** @param {Command} name @param {() => void} run */
export function onCommand(name, run) {
  commands.set(name, run);
}

/** @param {Command} name */
const run = (name) => commands.get(name)?.();

/** Whether single letters count. */
export const areOn = () => switched ?? remembered(OFF) !== "off";

/** What was chosen on this page: the browser may keep nothing. @type {boolean | null} */
let switched = null;

/** @param {EventTarget | null} target */
export function isWriting(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement)
    return true;
  return (
    target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range", "submit"].includes(target.type)
  );
}

function search() {
  const fields = document.querySelectorAll(".log-search");
  const field = [...fields].find((one) => one.checkVisibility());
  if (field instanceof HTMLElement) field.focus();
  else chat("write");
}

/** Opens Chat, and does it there once the tab is seen: what is hidden takes no focus. @param {Command} command */
function chat(command) {
  showTab("chat");
  const end = performance.now() + LONGEST_MS;
  const attempt = () => {
    if (commands.has(command) && document.getElementById("chat-input")?.checkVisibility()) run(command);
    else if (performance.now() < end) requestAnimationFrame(attempt);
  };
  attempt();
}

/** @param {boolean} on */
export function switchKeys(on) {
  switched = on;
  remember(OFF, on ? "on" : "off");
}

/** The list of all of them. */
export const showShortcuts = later(
  () => import("./shortcut_list.js"),
  (module) => module.showShortcuts(),
);

/** By the key that is pressed, without Ctrl, Alt or Meta. @type {Record<string, () => void>} */
const SINGLE = {
  n: () => chat("new"),
  c: () => chat("write"),
  "]": () => stepTab(1),
  "[": () => stepTab(-1),
  "/": search,
  "?": () => void showShortcuts(),
};

/** Listens from now on. */
export function listenToKeys() {
  addEventListener("storage", ({ key }) => {
    if (key === OFF) switched = null; // another page has kept another choice
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (openTab() === "chat") run("stop");
      return;
    }
    const action = SINGLE[event.key.toLowerCase()];
    if (!action || !areOn() || isWriting(event.target)) return;
    event.preventDefault();
    action();
  });
}
