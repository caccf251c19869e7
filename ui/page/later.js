// @ts-check
/**
 * What is used rarely comes when it is used first: `later(() => import("./share.js"), ({ openShare }) => openShare())`
 * is what a button does. No press is lost: it is answered when the module is there, the last one where several were
 * made meanwhile. Where the module can't be had, that is said, with another try.
 */

import { openDialog } from "./dialog.js";
import { el, fill } from "./dom.js";
import { t } from "./texts.js";

const DEADLINE_MS = 30_000; // a line may be slow, or gone without a word

/**
 * @template Module
 * @template {unknown[]} Values
 * @param {() => Promise<Module>} load
 * @param {(module: Module, ...values: Values) => void} use
 * @param {(again: () => void) => void} [missing] says that it didn't come; `again` tries once more
 * @returns {(...values: Values) => Promise<void>}
 */
export function later(load, use, missing = sayMissing) {
  /** @type {Values | null} */
  let wanted = null;
  return async function press(...values) {
    const under = wanted !== null;
    wanted = values;
    if (under) return;
    const pressed = globalThis.document?.activeElement;
    pressed?.setAttribute("aria-busy", "true");
    try {
      const module = await inTime(load());
      use(module, ...wanted);
    } catch (problem) {
      console.info("a module didn't come", problem);
      const last = wanted;
      missing(() => void press(...last));
    } finally {
      wanted = null;
      pressed?.removeAttribute("aria-busy");
    }
  };
}

/**
 * An element that such a module fills.
 *
 * @template Module
 * @param {HTMLElement} element
 * @param {() => Promise<Module>} load
 * @param {(module: Module) => void} use
 */
export function fillLater(element, load, use) {
  const missing = (/** @type {() => void} */ again) => fill(element, ...missingText(again));
  void later(
    load,
    (module) => {
      fill(element);
      use(module);
    },
    missing,
  )();
}

/** @template Module @param {Promise<Module>} loading @returns {Promise<Module>} */
function inTime(loading) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not in time")), DEADLINE_MS);
    loading.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** @param {() => void} again */
function sayMissing(again) {
  const dialog = openDialog(
    { id: "not-loaded", title: t("common.not-loaded"), look: "small" },
    ...missingText(() => {
      dialog.close();
      again();
    }),
  );
}

/** @param {() => void} again */
const missingText = (again) => [
  el("p", { role: "alert" }, t("common.not-loaded.text")),
  el("button", { class: "button", type: "button", onclick: again }, t("common.not-loaded.again")),
];
