// @ts-check
/** plotly.js, which is no module and large (assets/plotly): loaded when it is needed, as a script of its own. */

import { el } from "../../page/dom.js";

/** @import { Plotly } from "./types.d.ts" */

const DEADLINE_MS = 120_000; // 0.4 MB through a slow tunnel

/** @type {Promise<Plotly> | null} */
let loading = null;

/** What plotly.js leaves on the page. @returns {Plotly | undefined} */
const present = () => Reflect.get(globalThis, "Plotly");

/** @returns {Promise<Plotly>} */
export function loadPlotly() {
  loading ??= fetchScript().catch((problem) => {
    loading = null; // the next one tries again
    throw problem;
  });
  return loading;
}

/** @returns {Promise<Plotly>} */
function fetchScript() {
  return new Promise((resolve, reject) => {
    // By the import map, which knows its digest.
    const script = el("script", { src: import.meta.resolve("../../plotly/plotly-basic.min.js") });
    const fail = () => {
      script.remove();
      reject(new Error("plotly.js"));
    };
    const timer = setTimeout(fail, DEADLINE_MS);
    script.onload = () => {
      clearTimeout(timer);
      const plotly = present();
      if (plotly) resolve(plotly);
      else fail();
    };
    script.onerror = () => {
      clearTimeout(timer);
      fail();
    };
    document.head.append(script);
  });
}
