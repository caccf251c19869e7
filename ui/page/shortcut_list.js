// @ts-check
/** The list of the keys, in a window of its own. */

import { openDialog } from "./dialog.js";
import { el } from "./dom.js";
import { areOn, switchKeys } from "./shortcuts.js";
import { t } from "./texts.js";

/** The list, in its order: keys as they stand on a keyboard, and the text's key. @type {[string[], string][]} */
const LIST = [
  [["Enter"], "keys.send"],
  [["Shift", "Enter"], "keys.line"],
  [["Esc"], "keys.stop"],
  [["N"], "keys.new"],
  [["C"], "keys.write"],
  [["]"], "keys.next"],
  [["["], "keys.previous"],
  [["/"], "keys.search"],
  [["?"], "keys.list"],
];

/** Opens it. */
export function showShortcuts() {
  const rows = LIST.flatMap(([keys, text]) => [
    el(
      "dt",
      {},
      keys.map((key) => el("kbd", {}, key)),
    ),
    el("dd", {}, t(text)),
  ]);
  const box = el("input", { type: "checkbox", checked: areOn(), id: "keys-on" });
  box.addEventListener("change", () => switchKeys(box.checked));
  openDialog(
    { id: "shortcuts", title: t("keys.title") },
    el("dl", { class: "shortcuts" }, rows),
    el("label", { class: "keys-on" }, box, " ", t("keys.on")),
  );
}
