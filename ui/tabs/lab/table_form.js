// @ts-check
/** The tutorials' table by one click: a model, what it will take, what is missing for it. */

import { el, fill } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { get } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { jobForm } from "./job_form.js";

/** @import { TableOffer, TablesReply } from "./types.d.ts" */

/**
 * @param {HTMLElement} section in whose sight the models are read
 * @param {() => unknown} started
 * @param {(model: string) => void} toQuantize
 */
export function tableForm(section, started, toQuantize) {
  /** @type {TableOffer[]} */
  let models = [];
  let hasGpu = true;
  const choice = el("select", { class: "lab-input", id: "lab-table-model", onchange: changed });
  const trusted = el("input", { type: "checkbox", id: "lab-table-trusted", onchange: changed });
  const ownCode = el("label", { class: "lab-check" }, trusted, t("lab.table.own_code"));
  const needs = el("div", { id: "lab-table-needs" });
  const chosen = () => models.find(({ path }) => path === choice.value);
  const form = jobForm({
    id: "lab-table",
    start: t("lab.table.start"),
    asked: () => ({ kind: "table", table: choice.value, trusted: trusted.checked }),
    can: () => chosen() !== undefined && (!chosen()?.own_code || trusted.checked),
    say: ({ seconds, targets, most_users: users, questions }) => [
      t("lab.table.cost", { time: duration(seconds), servers: targets.length, users, questions }),
      ...(hasGpu ? [t("lab.table.free")] : []),
    ],
    started,
  });

  function changed() {
    const one = chosen();
    ownCode.hidden = !one?.own_code;
    const quantize = el(
      "button",
      {
        class: "button small",
        type: "button",
        dataset: { action: "quantize" },
        onclick: () => toQuantize(choice.value),
      },
      t("lab.table.quantize"),
    );
    fill(
      needs,
      !models.length && el("p", { class: "lab-hint" }, t("lab.table.no_models")),
      !hasGpu && models.length > 0 && el("p", { class: "lab-hint" }, t("lab.table.cpu")),
      hasGpu &&
        one &&
        !one.weights && [el("p", { class: "lab-hint" }, t("lab.table.weights", { name: one.name })), quantize],
    );
    form.changed();
  }

  async function load() {
    try {
      const reply = /** @type {TablesReply} */ (await get("lab/tables"));
      if (JSON.stringify(reply.models) === JSON.stringify(models) && reply.gpu === hasGpu) return;
      const before = choice.value;
      ({ models, gpu: hasGpu } = reply);
      fill(
        choice,
        models.map(({ path, name }) => el("option", { value: path }, name)),
      );
      if (models.some(({ path }) => path === before)) choice.value = before;
      changed();
    } catch {
      // the page says by itself that the console is away
    }
  }

  new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && load()).observe(section);
  changed();
  return el(
    "section",
    { class: "lab-card", id: "lab-table" },
    el("h3", {}, t("lab.table.title")),
    el("p", { class: "lab-hint" }, t("lab.table.what")),
    el("label", { class: "lab-pick" }, t("lab.table.model"), choice),
    ownCode,
    needs,
    form.elements,
  );
}
