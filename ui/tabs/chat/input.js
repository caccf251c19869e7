// @ts-check
/** What Gradio's input leaves out: names of its controls, and which files it takes. */

import { byId, el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";

const MIB = 2 ** 20;
const MAX_UPLOAD_BYTES = 64 * MIB; // what the console takes at all (ui/application.py)

const UNFIT = new RegExp(
  "\\.(zip|gz|tgz|tar|7z|rar|bz2|xz|zst|exe|dll|so|dylib|iso|dmg|apk|jar|class|pyc|safetensors|gguf|ckpt|pth?|onnx|npz|npy|pkl|parquet|docx?|xlsx?|pptx?|od[tsp]|pages|numbers|epub|mobi|sqlite3?|db)$",
  "i",
);

const NAMES = [
  ["#chat-box [role=log], #chat-box-2 [role=log]", "chat.box.label"],
  ["#chat-input textarea", "chat.input.label"],
  ["#chat-input .upload-button", "chat.input.attach"],
  ["#chat-input .submit-button", "chat.input.send"],
  ["#chat-input .delete-button", "chat.input.remove"],
  ["#chat-input [role=group]", "chat.input.label"],
  ["#chat-input input[type=file]", "chat.input.attach"],
];

/** Gradio names these in English, or not at all. @param {Element} root */
export function nameControls(root) {
  for (const [selector, key] of NAMES) {
    for (const control of root.querySelectorAll(selector)) {
      const name = t(key);
      if (control.getAttribute("aria-label") !== name) control.setAttribute("aria-label", name);
    }
  }
}

/** A file that the console won't take is refused before it is sent, and in the page's language. */
export function refuseUnfitFiles() {
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, refuse, true);
}

/** @param {Event} event */
function filesOf(event) {
  if (event instanceof DragEvent) return [...(event.dataTransfer?.files ?? [])];
  if (event instanceof ClipboardEvent) return [...(event.clipboardData?.files ?? [])];
  return event.target instanceof HTMLInputElement ? [...(event.target.files ?? [])] : [];
}

/**
 * Whether a file is of a kind that an input's `accept` names: "image/*, .heic".
 *
 * @param {{name: string, type: string}} file
 * @param {string} accept
 */
export function isAccepted({ name, type }, accept) {
  const kinds = accept.split(",").map((kind) => kind.trim().toLowerCase());
  return kinds.some((kind) => {
    if (kind.startsWith(".")) return name.toLowerCase().endsWith(kind);
    return kind === "" || (kind.endsWith("/*") ? type.startsWith(kind.slice(0, -1)) : type === kind);
  });
}

/** Whether no model server takes such a file, whatever is in it. @param {{name: string, type: string}} file */
export function isUnfit({ name, type }) {
  if (/\.[mc]?tsx?$/i.test(name)) return false; // browsers take TypeScript for a video
  return /^(audio|video|font)\//.test(type) || UNFIT.test(name);
}

/** @param {File} file @returns {[string, Record<string, string>] | null} why it isn't taken: a text's key and values */
function problemOf({ name, type, size }) {
  const input = byId("chat-input")?.querySelector("input[type=file]");
  if (!isAccepted({ name, type }, input?.getAttribute("accept") ?? "") || isUnfit({ name, type }))
    return ["chat.error.file_type", { name }];
  if (size <= MAX_UPLOAD_BYTES) return null;
  const sizes = { size: `${Math.round(size / MIB)} MiB`, limit: `${MAX_UPLOAD_BYTES / MIB} MiB` };
  return ["chat.error.upload_size", { name, ...sizes }];
}

/** @param {Event} event */
function refuse(event) {
  const { target } = event;
  if (!(target instanceof Element) || !target.closest("#chat-input")) return;
  const problem = filesOf(event)
    .map(problemOf)
    .find((found) => found !== null);
  if (!problem) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  if (target instanceof HTMLInputElement) target.value = "";
  const [key, values] = problem;
  say(key, t(key, values));
}

/** @param {string} text */
export const sayProblem = (text) => say("chat.error.conversation_gone", text);

/** Shows a message where the tab's own messages stand; the next one from the console replaces it. @param {string} key @param {string} text */
function say(key, text) {
  const outside = byId("chat-message");
  const place = outside?.querySelector(".prose") ?? outside;
  outside?.classList.remove("hidden", "hide");
  const dataset = { level: "error", key };
  const message = el("div", { class: "console-message", role: "alert", dataset }, text);
  if (place) fill(place, el("div", { class: "message-list" }, message));
}
