// @ts-check
/** "Share with the class": the address that works from where the students are, large, with who is here. */

import { classPanel } from "./class_panel.js";
import { copyButton } from "./clipboard.js";
import { openDialog } from "./dialog.js";
import { el, fill } from "./dom.js";
import { get, post, sentences } from "./request.js";
import { onSnapshot } from "./snapshot.js";
import { t } from "./texts.js";

/** @typedef {{token: string, addresses: string[], ssh: string}} Share */
/** @typedef {{size: number, path: string}} Qr */
/** @typedef {{address: string, ssh: string, reached: "network" | "forward"}} Way */

const SVG = "http://www.w3.org/2000/svg";
const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/i;

/** @param {string} hostname */
export const isLoopback = (hostname) => LOOPBACK.test(hostname);

/**
 * How a class gets to the page. What this browser itself uses comes first (a proxy's prefix, a forwarded port); where
 * that is this computer's own loopback, the console's address on the network, else the same SSH line as here.
 *
 * @param {string} page this page's address, below its secret path
 * @param {Share} share
 * @returns {Way}
 */
export function wayFor(page, { token, addresses, ssh }) {
  const root = new URL("../", page);
  root.search = root.hash = "";
  const own = isLoopback(root.hostname);
  const base = own && addresses.length ? new URL(`${addresses[0].replace(/\/$/, "")}/`) : root;
  const reached = !own || (addresses.length && !isLoopback(base.hostname)) ? "network" : "forward";
  base.searchParams.set("token", token);
  return { address: base.href, ssh: reached === "forward" ? ssh : "", reached };
}

/** @param {Qr} qr @param {string} name */
function drawn({ size, path }, name) {
  const svg = document.createElementNS(SVG, "svg");
  const quiet = 4; // modules of white around it, without which a camera doesn't find it
  svg.setAttribute("viewBox", `${-quiet} ${-quiet} ${size + 2 * quiet} ${size + 2 * quiet}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", name);
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("d", path);
  dark.setAttribute("fill", "#000");
  svg.append(dark);
  return svg;
}

/** Opens it; asks for nothing before. */
export async function openShare() {
  const place = el("div", {}, t("share.loading"));
  const full = el("button", { class: "button", type: "button", id: "share-full" }, t("share.full"));
  let end = () => {};
  const options = { id: "share", title: t("header.share"), tools: full, closed: () => end() };
  const dialog = openDialog(options, place);
  full.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else dialog.querySelector(".dialog-frame")?.requestFullscreen();
  });
  dialog.addEventListener("fullscreenchange", () =>
    fill(full, t(document.fullscreenElement ? "share.small" : "share.full")),
  );
  const port = location.port || (location.protocol === "https:" ? "443" : "80");
  try {
    const way = wayFor(document.baseURI, /** @type {Share} */ (await get(`share?local_port=${port}`)));
    const qr = /** @type {Qr} */ (await post("share/qr", { text: way.address }));
    const counts = el("p", { class: "share-counts", role: "status", id: "share-counts" });
    const panel = classPanel();
    fill(place, body(way, qr), counts, panel.element);
    const unlisten = onSnapshot(({ header: { class_here: here = 0, answering = 0 } }) => {
      counts.dataset.here = String(here);
      counts.dataset.answering = String(answering);
      fill(
        counts,
        el("span", {}, el("strong", {}, here), t(here === 1 ? "share.here.one" : "share.here.many")),
        el(
          "span",
          {},
          el("strong", {}, answering),
          t(answering === 1 ? "share.answering.one" : "share.answering.many"),
        ),
      );
    });
    end = () => {
      unlisten();
      panel.end();
    };
    if (!dialog.isConnected) end(); // closed before it was all there
  } catch (problem) {
    fill(place, el("p", { role: "alert" }, sentences(problem).join(" ")));
  }
}

/** @param {Way} way @param {Qr} qr */
function body({ address, ssh, reached }, qr) {
  const open = el(
    "div",
    {},
    el("code", { class: "share-address", id: "share-address" }, address),
    copyButton(address, { id: "share-copy" }),
  );
  const line = el("div", {}, el("code", { class: "share-line", id: "share-ssh" }, ssh), copyButton(ssh));
  const forward = [
    el(
      "ol",
      { class: "share-steps" },
      el("li", {}, t("share.step.ssh"), line),
      el("li", {}, t("share.step.open"), open),
    ),
    el("p", { class: "share-forward" }, t("share.forward")),
  ];
  const caption = t(reached === "forward" ? "share.qr.forward" : "share.qr.network");
  return el(
    "div",
    { class: "share-body", dataset: { reached } },
    el(
      "div",
      {},
      reached === "forward" ? forward : [el("p", {}, t("share.network")), open],
      el("p", {}, t("share.may")),
    ),
    el("figure", { class: "share-qr" }, drawn(qr, t("share.qr.name")), el("figcaption", {}, caption)),
  );
}
