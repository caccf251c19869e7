// @ts-check
/**
 * A form is shown once it is what it will be: its first answers (what the engine takes, the plan, the command) change
 * which fields stand there, and what is seen jumping can be pressed by mistake. It keeps its place meanwhile.
 */

import { openTab } from "./tabs.js";

const QUIET_MS = 300;
const LONGEST_MS = 6000; // whatever happens

/** By tab: what the first answers fill, one element of each line at least. @type {Record<string, string[]>} */
const FILLED = {
  deploy: [
    "#deploy-command textarea, #deploy-message .console-message",
    "#deploy-plan, #deploy-message .console-message",
  ],
  quantize: ["#quantize-command textarea, #quantize-message .console-message"],
};

/** @param {Element} element */
const isFilled = (element) =>
  (element instanceof HTMLTextAreaElement ? element.value : element.textContent)?.trim() !== "";

/** Whether a tab's form is what it will be. @param {string} name */
export const hasSettled = (name) =>
  !(name in FILLED) || document.getElementById(`${name}-tab`)?.dataset.settled !== undefined;

/** Watches the open tab until it has settled. @param {string} name */
function settle(name) {
  if (!(name in FILLED)) return;
  const panel = document.getElementById(`${name}-tab`);
  if (panel?.dataset.settled) return;
  if (!panel) {
    requestAnimationFrame(() => settle(openTab())); // Gradio makes it when it is opened
    return;
  }
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const done = () => {
    clearTimeout(timer);
    clearTimeout(last);
    changes.disconnect();
    panel.dataset.settled = "true";
  };
  const look = () => {
    clearTimeout(timer);
    const filled = FILLED[name].every((line) => [...panel.querySelectorAll(line)].some(isFilled));
    timer = setTimeout(filled ? done : look, QUIET_MS);
  };
  const changes = new MutationObserver(look);
  const last = setTimeout(done, LONGEST_MS);
  changes.observe(panel, { subtree: true, childList: true, characterData: true });
  look();
}

/** Every such tab, when it is opened first. */
export function settleTabs() {
  const open = () => settle(openTab());
  new MutationObserver(open).observe(document.documentElement, { attributes: true, attributeFilter: ["data-tab"] });
  open();
}
