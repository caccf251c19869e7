// @ts-check
/**
 * Runs in <head>, before Gradio's first script, so that the first frame is already the right one: language, theme, size
 * of type, who looks, and which tab. No module, which would come too late: ui/web/html_head.py writes it into the page,
 * with what it reads: `tabs` are those that this visitor has, the first one opens.
 */
{
  /** @type {{locale: string, role: string, tabs: string[]}} */
  const { locale, role, tabs } = JSON.parse(document.getElementById("console-page")?.textContent ?? "");
  const root = document.documentElement;

  /** @param {string} name */
  function remembered(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage is off in this browser
    }
  }

  Object.defineProperty(navigator, "language", { get: () => locale, configurable: true });
  Object.defineProperty(navigator, "languages", { get: () => [locale], configurable: true });

  // The chosen theme stands in for the system's, so that nothing flashes.
  const theme = remembered("console-theme");
  if (theme === "dark" || theme === "light") {
    const real = matchMedia.bind(globalThis);
    const value = (/** @type {string} */ query) => {
      const list = real(query);
      const dark = { get: () => theme === "dark" };
      if (/prefers-color-scheme: *dark/.test(query)) Object.defineProperty(list, "matches", dark);
      return list;
    };
    Object.defineProperty(globalThis, "matchMedia", { value, configurable: true });
  }

  // The address keeps the tab: "#vram".
  const wanted = location.hash.slice(1);
  const tab = tabs.includes(wanted) ? wanted : tabs[0];
  Object.assign(root.dataset, { role, tab });
  if (remembered("console-type") === "large") root.dataset.type = "large";
  if (remembered("console-hint-closed") !== null) root.dataset.hint = "closed";

  /** @typedef {{id: number, type: string, closed?: boolean, props: Record<string, unknown>}} Component */

  /** @typedef {{id: number, children?: Layout[]}} Layout */

  /**
   * @typedef {{components?: Component[], layout?: Layout, i18n_translations?: Record<string, Record<string, string>>}}
   *   Config
   */

  /**
   * Marks what isn't drawn at first: other tabs' components and what is folded. Their scripts come when they are drawn
   * (ui/gradio_compat/scripts.py: loads_when_drawn).
   *
   * @param {Map<number, Component>} byId
   * @param {Layout} place
   * @param {boolean} closed
   */
  function markClosed(byId, { id, children = [] }, closed) {
    const component = byId.get(id);
    if (component && closed) component.closed = true;
    const isOf = (/** @type {string} */ type) => component?.type === type;
    const folded =
      (isOf("accordion") && component?.props.open === false) || (isOf("tabitem") && component?.props.id !== tab);
    for (const child of children) markClosed(byId, child, closed || folded);
  }

  /**
   * Gradio's own description of the page with the tab that opens, without those that are others', and with the texts
   * that a class is told instead ("<key>.class").
   *
   * @param {Config | undefined} config
   */
  function forThisVisitor(config) {
    for (const { type, props } of config?.components ?? []) {
      if (type === "tabs" && props.elem_id === "tabs") props.selected = tab;
      if (type === "tabitem" && !tabs.includes(String(props.id))) props.visible = false;
    }
    if (config?.components && config.layout)
      markClosed(new Map(config.components.map((one) => [one.id, one])), config.layout, false);
    if (role !== "class") return config;
    for (const texts of Object.values(config?.i18n_translations ?? {})) {
      for (const key of Object.keys(texts)) if (`${key}.class` in texts) texts[key] = texts[`${key}.class`];
    }
    return config;
  }

  /** @type {Config | undefined} */
  let config;
  Object.defineProperty(globalThis, "gradio_config", {
    configurable: true,
    get: () => config,
    set: (value) => {
      config = forThisVisitor(value);
    },
  });
}
