// @ts-check
/** Servers and jobs as cards: made once, kept in the list's order, with the focus and what was opened. */

import { byId, el, fill } from "./dom.js";
import { sentences } from "./request.js";
import { t } from "./texts.js";

/** @import { Children } from "./types.d.ts" */

/**
 * @template Item
 * @typedef {object} Card
 * @property {HTMLElement} element
 * @property {(item: Item) => void} show draws it
 * @property {(item: Item) => void} tick draws what a second changes
 */

/**
 * Keeps one card for each item, in the list's order. Cards stay the same elements, so that focus and open parts stay.
 *
 * @template {{id: string}} Item
 * @param {HTMLElement} place
 * @param {(item: Item) => Card<Item>} make
 */
export function cardList(place, make) {
  /** @type {Map<string, Card<Item>>} */
  const cards = new Map();
  return {
    /** @param {Item[]} items */
    show(items) {
      const ids = new Set(items.map(({ id }) => id));
      for (const [id, gone] of cards) {
        if (ids.has(id)) continue;
        gone.element.remove();
        cards.delete(id);
      }
      items.forEach((item, index) => {
        const card = cards.get(item.id) ?? make(item);
        cards.set(item.id, card);
        if (place.children[index] !== card.element) place.insertBefore(card.element, place.children[index] ?? null);
        card.show(item);
      });
    },
    /** @param {Item[]} items */
    tick(items) {
      if (place.offsetParent === null) return;
      for (const item of items) cards.get(item.id)?.tick(item);
    },
  };
}

/**
 * A list of cards with its heading, and what stands there while it is empty.
 *
 * @param {HTMLElement} element
 * @param {{title: string, heading: string, list: string, empty: string}} look the title; three CSS classes
 */
export function cardSection(element, look) {
  const list = el("div", { class: look.list });
  const empty = el("div", { class: look.empty, hidden: true });
  fill(element, el("h2", { class: look.heading }, look.title), empty, list);
  return {
    list,
    /** @param {boolean} isEmpty @param {string} title @param {string} text */
    showEmpty(isEmpty, title, text) {
      empty.hidden = !isEmpty;
      if (isEmpty) fill(empty, el("strong", {}, title), el("p", {}, text));
    },
  };
}

/** What the first click of several was for. @type {{row: HTMLElement, action: string | undefined} | null} */
let pressed = null;
const forget = (/** @type {MouseEvent} */ { detail }) => {
  if (detail <= 1) pressed = null; // what is pressed elsewhere first is no row's
};

/**
 * A row of buttons that is drawn anew without losing the focus: the button of the same `data-action` gets it. The second
 * press of a double click is for what was pressed first, and does nothing on what came in its place.
 *
 * @param {string} className
 */
export function actionRow(className) {
  const element = el("div", { class: className });
  /** @param {MouseEvent} event */
  function listen(event) {
    const { target } = event;
    const button = target instanceof Element ? target.closest("[data-action]") : null;
    const action = button instanceof HTMLElement ? button.dataset.action : undefined;
    if (event.detail <= 1) pressed = { row: element, action };
    else if (pressed?.row !== element || pressed.action !== action) {
      event.stopPropagation();
      event.preventDefault();
    }
  }
  document.addEventListener("click", forget, { capture: true }); // the same for all rows: it is there once
  element.addEventListener("click", listen, { capture: true });
  return {
    element,
    /** @param {Children[]} buttons @param {HTMLElement} otherwise what gets the focus where no button is left */
    show(buttons, otherwise) {
      const focused = element.contains(document.activeElement) ? document.activeElement : null;
      const action = focused instanceof HTMLElement ? focused.dataset.action : undefined;
      fill(element, buttons);
      if (!action) return;
      const same = element.querySelector(`[data-action="${action}"]`) ?? element.firstElementChild ?? otherwise;
      /** @type {HTMLElement} */ (same).focus();
    },
  };
}

/**
 * Where a card says why something couldn't be done.
 *
 * @param {string} className
 */
export function problemLine(className) {
  const element = el("p", { class: className, role: "alert", hidden: true });
  /** @param {unknown} problem */
  function say(problem) {
    const text = sentences(problem).join(" ");
    if (element.textContent !== text) element.textContent = text; // a screen reader says once what stays so
    element.hidden = false;
  }
  const clear = () => {
    element.hidden = true;
  };
  return {
    element,
    say,
    clear,
    isShown: () => !element.hidden,
    /** Does it; says so where it fails, and resolves to null then. @template Reply @param {() => Promise<Reply>} action */
    async attempt(action) {
      clear();
      try {
        return await action();
      } catch (problem) {
        say(problem);
        return null;
      }
    },
  };
}

/**
 * A state: <span class="badge" data-state="running">running</span>.
 *
 * @param {string} state
 */
export const badge = (state) => el("span", { class: "badge", dataset: { state } }, t(`common.state.${state}`));

/** @param {HTMLElement} name @param {boolean} isChosen */
export function markChosen(name, isChosen) {
  if (isChosen) name.setAttribute("aria-current", "true");
  else name.removeAttribute("aria-current");
}

/**
 * Whether a Gradio button can be pressed. Gradio draws it anew after an event, as its component says: this is asked
 * again every second.
 *
 * @param {string} id
 * @param {boolean} allowed
 */
export function allowButton(id, allowed) {
  const button = /** @type {HTMLButtonElement | null} */ (byId(id));
  if (button && button.disabled === allowed) button.disabled = !allowed;
}
