// @ts-check
/** The settings beside Gradio's form: drawn from what the console says, and told at each change. */

import { el, fill } from "../../page/dom.js";
import { keepPlace } from "../../page/redraw.js";
import { t } from "../../page/texts.js";

/** @typedef {Record<string, unknown>} Values */
/** @typedef {{thinking: boolean, unable: string[]}} Able what the chosen server takes */
/** @typedef {{values?: Values, able?: Able}} Value */

/** @type {[string, string, Record<string, unknown>][]} a field, its control, and what its input is like */
const FIELDS = [
  ["top_k", "top-k", { type: "number", min: 1, max: 1024, step: 1 }],
  ["repetition_penalty", "repetition-penalty", { type: "number", min: 0.01, max: 2, step: 0.01 }],
  ["seed", "seed", { type: "number", min: 0, step: 1 }],
];

/**
 * @param {HTMLElement} element
 * @param {(values: Values) => void} tell
 */
export function options(element, tell) {
  /** @type {Values} */
  let values = {};
  /** @type {Able} */
  let able = { thinking: false, unable: [] };
  /** @type {Map<string, () => void>} by field */
  const notes = new Map();
  const switches = el("div", {});
  let known = false; // what the console shows of them has come

  /** @param {string} name @param {unknown} value */
  function set(name, value) {
    values = { ...values, [name]: value };
    tell(values);
  }

  /** @param {string} name @param {string} control @param {Record<string, unknown>} look */
  function number(name, control, look) {
    const input = el("input", {
      id: `chat-${control}`,
      ...look,
      value: String(values[name] ?? ""),
      onchange: () => set(name, input.validity.badInput ? "?" : input.value),
    });
    return noted(name, control, field(control, input));
  }

  /** Its label says whether the chosen server takes it. @param {string} name @param {string} control @param {HTMLElement} label */
  function noted(name, control, label) {
    notes.set(name, () => say(control, label, able.unable.includes(name) ? t("chat.option.unable") : ""));
    return label;
  }

  function thinking() {
    if (!able.thinking) return null;
    const choice = el(
      "select",
      { id: "chat-thinking", onchange: () => set("thinking", choice.value) },
      ["", "on", "off"].map((value) => {
        const option = el("option", { value }, t(`chat.thinking.${value || "default"}`));
        option.selected = value === (values.thinking ?? "");
        return option;
      }),
    );
    return field("thinking", choice);
  }

  function logprobs() {
    const input = el("input", {
      id: "chat-logprobs",
      type: "checkbox",
      checked: values.logprobs === true,
      onchange: () => set("logprobs", input.checked),
    });
    const more = el("small", {}, t("chat.logprobs.unable"));
    notes.set("logprobs", () => (more.hidden = !able.unable.includes("logprobs")));
    const label = field("logprobs", input);
    label.append(more);
    return label;
  }

  function answerForm() {
    const kind = String(values.form_kind ?? "");
    const text = el("textarea", {
      id: "chat-answer-form-text",
      rows: 4,
      spellcheck: "false",
      hidden: kind === "",
      "aria-label": t("chat.answer-form.text"),
      placeholder: t(kind === "regex" ? "chat.answer-form.regex.example" : "chat.answer-form.schema.example"),
      value: String(values.form_text ?? ""),
      onchange: () => set("form_text", text.value),
    });
    const choice = el(
      "select",
      {
        id: "chat-answer-form",
        dataset: { focus: "answer-form" },
        onchange() {
          set("form_kind", choice.value);
          draw();
        },
      },
      ["", "schema", "regex"].map((value) => {
        const option = el("option", { value }, t(`chat.answer-form.${value || "free"}`));
        option.selected = value === kind;
        return option;
      }),
    );
    const label = noted("answer_form", "answer-form", field("answer-form", choice));
    return el("div", { class: "chat-answer-form" }, label, text);
  }

  function stopWords() {
    const input = el("textarea", {
      id: "chat-stop-words",
      rows: 2,
      spellcheck: "false",
      value: String(values.stop ?? ""),
      onchange: () => set("stop", input.value),
    });
    return field("stop-words", input);
  }

  function ownTools() {
    const input = el("textarea", {
      id: "chat-own-tools",
      rows: 4,
      spellcheck: "false",
      placeholder: t("chat.own-tools.placeholder"),
      value: String(values.own_tools ?? ""),
      onchange: () => set("own_tools", input.value),
    });
    return field("own-tools", input);
  }

  function draw() {
    const open = element.querySelector("details")?.open ?? false;
    const more = el(
      "details",
      { class: "chat-options", open },
      el("summary", {}, t("chat.option.more")),
      FIELDS.map(([name, control, look]) => number(name, control, look)),
      stopWords(),
      ownTools(),
    );
    keepPlace(element, () => fill(element, switches, logprobs(), answerForm(), more));
    showAble();
  }

  /** What the chosen server takes. Somebody may be writing beside it. */
  function showAble() {
    for (const note of notes.values()) note();
    if (able.thinking !== Boolean(switches.firstChild)) fill(switches, thinking());
  }

  return {
    /** @param {Value} value */
    draw(value) {
      able = value.able ?? able;
      if (!value.values) return showAble();
      values = value.values;
      known = true;
      fill(switches);
      draw();
    },
    /** The console was started anew: it knows nothing of what was set since. */
    again() {
      if (known) tell(values);
    },
  };
}

/** @param {string} control @param {HTMLElement} input */
function field(control, input) {
  const name = el("span", {}, t(`chat.${control}.label`));
  return say(control, el("label", { class: "chat-option" }, name, input, el("small", {})), "");
}

/** What stands below a setting: why it can't be, else what it is. @param {string} control @param {HTMLElement} label @param {string} problem */
function say(control, label, problem) {
  const small = /** @type {HTMLElement} */ (label.querySelector("small"));
  small.textContent = problem || t(`chat.${control}.info`);
  small.toggleAttribute("data-problem", problem !== "");
  return label;
}
