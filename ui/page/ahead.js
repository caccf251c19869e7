// @ts-check
/**
 * Files that will be needed: an opened tab's are asked for at once and together, instead of one behind the other; all
 * others, one at a time, once the page has settled and nothing else is under way. What is large has begun before
 * (next.js).
 */

import { hasSettled } from "./settle.js";
import { openTab } from "./tabs.js";

const CALM_MS = 3000; // so long the page has been as it is
const LONGEST_MS = 60_000;
/** What a tab needs beside its own script. @type {Record<string, string[]>} */
const MORE = { vram: ["../plotly/plotly-basic.min.js"] };

/** @param {string} tab */
const filesOf = (tab) => [`../tabs/${tab}/${tab}.js`, ...(MORE[tab] ?? [])];

/** What has been asked for: what stood in the page's head, then what is asked for here. @type {Set<string>} */
const asked = new Set();

/**
 * Asks for a file, with the digest that the import map knows. Resolves when it is there, or isn't.
 *
 * @param {string} file
 * @param {Record<string, string>} how
 */
function fetchFile(file, how) {
  const href = file.startsWith("./assets/") ? new URL(file, document.baseURI).href : import.meta.resolve(file);
  if (asked.has(href)) return Promise.resolve();
  asked.add(href);
  const link = Object.assign(document.createElement("link"), how, { href });
  return new Promise((resolve) => {
    setTimeout(resolve, LONGEST_MS);
    link.onload = link.onerror = resolve;
    document.head.append(link);
  });
}

/** The opened tab's. */
function fetchOpened() {
  const [script, ...more] = filesOf(openTab());
  void fetchFile(script, { rel: "modulepreload" });
  for (const file of more) void fetchFile(file, { rel: "preload", as: "script" });
}

/** One after the other. @param {string[]} files */
async function fetchOthers(files) {
  for (const file of files) {
    await new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(resolve));
    await fetchFile(file, { rel: "prefetch", as: "script" });
  }
}

/** Gradio's files for what isn't seen at first, and the tabs that this visitor has (ui/web/html_head.py). */
function about() {
  const { later, tabs } = JSON.parse(document.getElementById("console-page")?.textContent ?? "{}");
  return /** @type {{later: string[], tabs: string[]}} */ ({ later, tabs });
}

/** From now on. */
export function fetchAhead() {
  const { later, tabs } = about();
  for (const link of document.querySelectorAll("link[rel=modulepreload], link[rel=prefetch]"))
    if (link instanceof HTMLLinkElement) asked.add(link.href);
  new MutationObserver(fetchOpened).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-tab"],
  });
  const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
  if (connection?.saveData) return;
  const wait = () => {
    if (!hasSettled(openTab()) || document.visibilityState === "hidden") setTimeout(wait, CALM_MS);
    else void fetchOthers([...tabs.map((tab) => filesOf(tab)[0]), ...later, ...tabs.flatMap((tab) => MORE[tab] ?? [])]);
  };
  setTimeout(wait, CALM_MS);
}
