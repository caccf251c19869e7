// @ts-check
/**
 * The page's language and the texts that its scripts show. They come with the scripts: each file that the console makes
 * of modules (ui/web/bundles.py) adds those that its modules name.
 */

const root = globalThis.document?.documentElement;

export const language = root?.lang.startsWith("zh") ? "zh" : "en";
export const locale = language === "zh" ? "zh-CN" : "en";

/** @type {Record<string, string>} */
const texts = {};

/** @param {Readonly<Record<string, string>>} more */
export function addTexts(more) {
  Object.assign(texts, more);
}

/** What a class is told instead ("<key>.class") where that stands there. @param {string} key */
const found = (key) => (root?.dataset.role === "class" ? texts[`${key}.class`] : undefined) ?? texts[key];

/**
 * The text of that key in the page's language, its {placeholders} filled.
 *
 * @param {string} key
 * @param {Record<string, unknown>} [params]
 */
export function t(key, params = {}) {
  const text = found(key);
  if (text === undefined) {
    console.warn(`no text ${key}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}
