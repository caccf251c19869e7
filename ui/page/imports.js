// @ts-check
/**
 * Runs in <head>, before any module: writes the page's import map. ui/web/html_head.py writes it into the page, behind
 * "console-imports" (the console's own modules) and "console-carried": Gradio's small scripts, which come as one file
 * (ui/first_files.py) and stand in the map themselves, each as a data URL. Where that file didn't come, Gradio's page
 * asks for each of them.
 */
{
  /** @type {Record<string, string>} */
  const imports = JSON.parse(document.getElementById("console-imports")?.textContent ?? "{}");
  /** @type {{scripts?: Record<string, string>, others?: string[]}} `others` are what they import beside one another */
  const carried = JSON.parse(document.getElementById("console-carried")?.dataset.scripts ?? "{}");
  for (const [name, source] of Object.entries(carried.scripts ?? {})) {
    const url = `data:text/javascript,${encodeURIComponent(source)}`;
    imports[`./assets/${name}`] = imports[`gradio/${name}`] = url;
  }
  for (const name of carried.others ?? []) imports[`gradio/${name}`] = `./assets/${name}`;
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({ imports });
  document.currentScript?.after(map);
}
