// @ts-check
/** Which server or job of a list is the one that status, progress and log are about. */

/**
 * The one that a person chose, else the first.
 *
 * @template {{id: string}} Item
 */
export class Selection {
  /** @type {Item[] | null} null until the list is known */
  #items = null;
  /** @type {string | null} */
  #chosen = null;
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /** The list; empty until it is known. */
  get items() {
    return this.#items ?? [];
  }

  get known() {
    return this.#items !== null;
  }

  /** @returns {Item | null} */
  get current() {
    return this.items.find(({ id }) => id === this.#chosen) ?? this.items[0] ?? null;
  }

  /** @param {Item[]} items */
  show(items) {
    this.#items = items;
    this.#announce();
  }

  /** One that may not be in the list yet. @param {string} id */
  choose(id) {
    this.#chosen = id || null;
    this.#announce();
  }

  /** `listener` runs now and at every change. @param {() => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
    listener();
  }

  #announce() {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        console.error("a selection listener failed", error);
      }
    }
  }
}
