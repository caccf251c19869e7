// @ts-check
/** Builds elements. Data reaches the page as text alone, never as HTML. */

/** @import { Children } from "./types.d.ts" */

/**
 * An element. `attributes`: class, dataset: {…}, style: {…}, on<event>: function, value and checked as properties
 * (a text's first value is the one that it can be told from later), everything else as attributes (null and false leave it out). Children are nodes, strings, numbers, lists of these;
 * null and false are left out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...Children} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") setDataset(element, /** @type {Record<string, unknown>} */ (value));
    else if (name === "style") Object.assign(element.style, value);
    else if (typeof value === "function") {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "value" || name === "checked") {
      if (name === "value" && "defaultValue" in element) Reflect.set(element, "defaultValue", value);
      Reflect.set(element, name, value);
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  if (children.length) fill(element, ...children);
  return element;
}

/** @param {HTMLElement} element @param {Record<string, unknown>} values */
function setDataset(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined) element.dataset[name] = String(value);
  }
}

/**
 * Replaces what is in the element. As with `el`, null and false are left out (`replaceChildren` would write "null").
 *
 * @param {Element} element
 * @param {...Children} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...pieces(children));
}

/**
 * The nodes and texts of nested lists, without null, undefined and false.
 *
 * @param {Children[]} children
 * @returns {(Node | string)[]}
 */
export function pieces(children) {
  return children.flatMap((child) => {
    if (Array.isArray(child)) return pieces(child);
    if (child === null || child === undefined || child === false) return [];
    return [typeof child === "object" ? child : String(child)];
  });
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * Gradio's element of that id around a part, which carries the attributes that tests and styles read.
 *
 * @param {HTMLElement} element
 * @param {string} id
 * @returns {HTMLElement}
 */
export const outer = (element, id) => element.closest(`#${id}`) ?? element;
