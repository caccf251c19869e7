// @ts-check
/** The page's language and its texts, which Gradio's page brings along (ui/i18n.py). */

const config = /** @type {{i18n_translations?: Record<string, Record<string, string>>}} */ (
  Reflect.get(globalThis, "gradio_config") ?? {}
);

export const language = globalThis.document?.documentElement.lang.startsWith("zh") ? "zh" : "en";
export const locale = language === "zh" ? "zh-CN" : "en";

const texts = config.i18n_translations?.[locale] ?? config.i18n_translations?.[language] ?? {};

/**
 * The text of that key in the page's language, its {placeholders} filled.
 *
 * @param {string} key
 * @param {Record<string, unknown>} [params]
 */
export function t(key, params = {}) {
  const text = texts[key];
  if (text === undefined) {
    console.warn(`no text ${key}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}
