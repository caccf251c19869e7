// @ts-check
/** The chosen server's state as one spoken sentence: its card shows it, this tells it to who doesn't see the page. */

import { el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";
import { ending } from "./server_facts.js";

/** @import { Server } from "../../page/types.d.ts" */

/** @param {HTMLElement} element @param {HTMLElement} root Gradio's element, which carries the state */
export function serverStatus(element, root) {
  const said = el("p", { class: "unseen", role: "status" });
  fill(element, said);
  return {
    /** @param {Server | null} server */
    show(server) {
      root.dataset.state = server?.state ?? "";
      root.dataset.serverId = server?.id ?? "";
      root.dataset.progress = String(server?.progress ?? "");
      root.dataset.exitCode = String(server?.exit_code ?? "");
      const parts = server ? [server.name, t(`common.state.${server.state}`), ...ending(server), server.reason] : [];
      const text = parts.filter(Boolean).join(", ");
      if (said.textContent !== text) said.textContent = text;
    },
  };
}
