/** What a page's scripts need of a browser, for their tests in Node: import this first. */

import { readdirSync, readFileSync } from "node:fs";

const TABS = ["deploy", "quantize", "chat", "vram", "lab"];
const ROOT = new URL("../../", import.meta.url);

/** All texts of these files, in English. */
function texts(...files) {
  const all = files.flatMap((file) => Object.entries(JSON.parse(readFileSync(new URL(file, ROOT), "utf-8"))));
  return Object.fromEntries(all.map(([key, { en }]) => [key, en]));
}

globalThis.document = {
  baseURI: "http://localhost/",
  documentElement: { lang: "en", dataset: {} },
  visibilityState: "visible",
  addEventListener() {},
};

const { addTexts } = await import("../../ui/page/texts.js");
const locales = readdirSync(new URL("ui/locales/", ROOT)).map((file) => `ui/locales/${file}`);
addTexts(texts(...locales, ...TABS.map((tab) => `ui/tabs/${tab}/texts.json`)));

/** Lets everything run that is ready to. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Resolves once that is so. */
export async function until(isSo, deadlineMs = 5000) {
  const end = performance.now() + deadlineMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
