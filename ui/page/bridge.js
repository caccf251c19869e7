// @ts-check
/**
 * Where Gradio's page and the console's script meet. Gradio owns forms, the script owns everything live; what one has
 * to tell the other goes through here, by name (ui/page/bridge.py is the other bank).
 *
 *   mount   Gradio has made an element: the area's script fills it.
 *   hear    a Gradio event tells the area's script something; the answer goes into the event's outputs.
 *   Bridge  the script tells Gradio something (`tell`), and shares one value with it (`share`, `onShared`).
 *
 * An area is a tab, or the header. Its script is loaded when its first element is mounted: when the tab is opened.
 */

/** @import { AreaScript, GradioElement } from "./types.d.ts" */

const AGAIN_MS = 1000;
const COMES_BACK = "console-back"; // the page reaches the console again (ui/gradio_compat/scripts.py), or another start of it (snapshot.js)
const SETTLED_MS = 20; // changes of one moment are one change

/** @typedef {(area: string) => Promise<AreaScript>} Load */

/**
 * The meeting place, with what loads an area's script.
 *
 * @param {Load} load
 */
export function createMeeting(load) {
  /** @type {Map<string, Promise<AreaScript>>} */
  const loading = new Map();
  /** @type {Map<string, Map<string, unknown[]>>} */
  const unheard = new Map();

  /** @param {string} area */
  function scriptOf(area) {
    let script = loading.get(area);
    if (!script) {
      script = load(area).then((ready) => {
        for (const [event, values] of unheard.get(area) ?? []) call(ready, area, event, values);
        unheard.delete(area);
        return ready;
      });
      loading.set(area, script);
    }
    return script;
  }

  return {
    /**
     * @param {string} area
     * @param {string} part
     * @param {GradioElement} gradio
     */
    async mount(area, part, gradio) {
      const { element } = gradio;
      // What a script builds isn't prose: Gradio's styles for headings, lists and buttons in a text stay away from it.
      for (const styled of [element, element.closest(".prose")]) styled?.classList.remove("prose", "gradio-style");
      const { parts } = await scriptOf(area);
      try {
        parts[part](element, gradio);
      } catch (error) {
        console.error(`mounting ${area}-${part} failed`, error);
      }
    },

    /**
     * What is told before the area's script is wanted at all is kept for it, the last of each name, and answered with
     * nothing.
     *
     * @param {string} area
     * @param {string} event
     * @param {unknown[]} values
     */
    async hear(area, event, values) {
      const script = loading.get(area);
      if (script) return call(await script, area, event, values);
      unheard.set(area, (unheard.get(area) ?? new Map()).set(event, values));
      return undefined;
    },
  };
}

/**
 * @param {AreaScript} script
 * @param {string} area
 * @param {string} event
 * @param {unknown[]} values
 */
function call({ events = {} }, area, event, values) {
  const listener = /** @type {((...values: unknown[]) => unknown) | undefined} */ (events[event]);
  if (listener) return listener(...values);
  console.error(`nobody hears ${area}.${event}`);
  return undefined;
}

/**
 * An area's script. A file that doesn't come is asked for again: the connection may be back.
 *
 * @param {string} area
 * @returns {Promise<AreaScript>}
 */
async function loadScript(area) {
  const path = area === "header" ? "./header.js" : `../tabs/${area}/${area}.js`;
  for (;;) {
    try {
      return /** @type {AreaScript} */ (await import(new URL(path, import.meta.url).href));
    } catch (error) {
      console.info(`${path} didn't come`, error);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

export const { mount, hear } = createMeeting(loadScript);

/**
 * For a box that is sent when it is left, which does nothing while the line is lost: what was typed then is told once it
 * is back. Returns what to call when it has come to the console.
 *
 * @param {string} id the box's
 * @param {() => void} tell
 */
export function sentWhenBack(id, tell) {
  let typed = 0; // so often something was typed; up to which it was told, and has come
  let told = 0;
  let come = 0;
  /** @param {EventTarget | null} target */
  const isIn = (target) => target instanceof Element && target.closest(`#${id}`) !== null;
  document.addEventListener("input", ({ target }) => {
    if (isIn(target)) typed++;
  });
  document.addEventListener("focusout", ({ target }) => {
    if (isIn(target)) told = typed;
  });
  addEventListener(COMES_BACK, () => {
    if (come === typed || isIn(document.activeElement)) return; // who is still there leaves it later
    told = typed;
    tell();
  });
  return () => {
    come = told; // not what was typed meanwhile
  };
}

/**
 * The script's end of a tab's bridge: the tab's one component without a face. What is told before it is there waits.
 *
 * @template Shared
 */
export class Bridge {
  /** @type {GradioElement | null} */
  #gradio = null;
  /** @type {Map<string, object>} */
  #waiting = new Map();
  /** @type {{value: Shared} | null} */
  #shared = null;
  /** @type {(value: Shared) => void} */
  #heard = () => {};

  /** The part of that name in the tab's script. @param {HTMLElement} _ @param {GradioElement} gradio */
  attach = (_, gradio) => {
    this.#gradio = gradio;
    gradio.watch("value", () => this.#heard(/** @type {Shared} */ (gradio.props.value)));
    if (this.#shared) gradio.props.value = this.#shared.value;
    for (const [event, data] of this.#waiting) gradio.trigger(event, data);
    this.#waiting.clear();
  };

  /** Tells Gradio: the handlers of `tab.bridge.<event>` run. @param {string} event @param {object} [data] */
  tell(event, data = {}) {
    if (this.#gradio) this.#gradio.trigger(event, data);
    else this.#waiting.set(event, data);
  }

  /** A function that tells once the calls to it have paused. @param {...string} events */
  settled(...events) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const changed = () => {
      if (!timer) globalThis.addEventListener?.(COMES_BACK, changed); // what was told before may not have arrived
      clearTimeout(timer);
      timer = setTimeout(() => events.forEach((event) => this.tell(event)), SETTLED_MS);
    };
    return changed;
  }

  /** What handlers get that have the bridge among their inputs. @param {Shared} value */
  share(value) {
    this.#shared = { value };
    if (this.#gradio) this.#gradio.props.value = value;
  }

  /** A handler that has the bridge among its outputs gave another value. @param {(value: Shared) => void} heard */
  onShared(heard) {
    this.#heard = heard;
  }
}
