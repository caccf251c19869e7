// @ts-check
/**
 * Runs in <head>, behind the links to the page's first scripts: when these have come, the line is free while the page is
 * made of them, and what is large begins (plotly.js takes 1.3 s at 2 Mbit/s). ui/web/html_head.py writes it into the
 * page; `next` are the files' addresses.
 */
{
  /** @type {{next: string[]}} */
  const { next } = JSON.parse(document.getElementById("console-page")?.textContent ?? "");
  const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
  const firstScripts = /** @type {NodeListOf<HTMLLinkElement>} */ (
    document.querySelectorAll("link[rel=modulepreload]")
  );
  const come = [...firstScripts].map(
    (link) =>
      new Promise((resolve) => {
        link.addEventListener("load", resolve);
        link.addEventListener("error", resolve);
      }),
  );
  if (!connection?.saveData)
    void Promise.all(come).then(() => {
      for (const href of next)
        document.head.append(Object.assign(document.createElement("link"), { rel: "prefetch", as: "script", href }));
    });
}
