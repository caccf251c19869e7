// @ts-check
/**
 * A message's remedies (ui/page/remedies.py): a press changes settings of the form, stops a server and starts, or opens
 * another tab.
 */

/**
 * @typedef {object} Remedy
 * @property {Record<string, unknown>} [settings]
 * @property {string} [stop] a server's id
 * @property {boolean} [forget]
 * @property {boolean} [start]
 * @property {string} [quantize]
 * @property {boolean} [install] what the engines need
 * @property {{pid: number, start: number, what: string}} [end] a process that an earlier server left behind
 */

/**
 * Calls `apply` for each remedy that is pressed within the element, its button locked meanwhile.
 *
 * @param {Element} root
 * @param {(remedy: Remedy) => Promise<void> | void} apply
 */
export function onRemedy(root, apply) {
  root.addEventListener("click", async (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-remedy]") : null;
    if (!(target instanceof HTMLButtonElement) || target.disabled) return;
    target.disabled = true;
    try {
      await apply(/** @type {Remedy} */ (JSON.parse(target.dataset.remedy ?? "{}")));
    } finally {
      target.disabled = false;
    }
  });
}

/**
 * The form's values with a remedy's in their place.
 *
 * @param {string[]} controls the names of the values, in their order
 * @param {unknown[]} values
 * @param {Record<string, unknown>} settings
 */
export const withSettings = (controls, values, settings) =>
  controls.map((name, index) => (name in settings ? settings[name] : values[index]));
