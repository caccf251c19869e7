// @ts-check
/**
 * "Get a model": what a person types becomes a card (before a byte of weights is loaded), the card a download. Nothing is
 * asked of a hub before a button here is pressed.
 */

import { openDialog } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { number, size } from "../../page/format.js";
import { post, sentences } from "../../page/request.js";
import { change } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";

/**
 * @typedef {{id: string, path: string, free_bytes: number | null}} Place
 * @typedef {{number: number, kind: string, name: string, endpoint: string, model: string, speed: number | null,
 *   same: boolean, can_give: boolean, problem: string | null, token_helps: boolean, has_token: boolean, licence: string,
 *   gated: boolean, places: Place[]}} Source
 * @typedef {{id: string, name: string, best: number, size_bytes: number, left_bytes: number, files: number,
 *   facts: [string, string][], problem: string | null, verdict: {level: string, title: string, text: string} | null,
 *   here: string[], sources: Source[]}} Offer
 * @typedef {{source: string, problem: string | null, models: {id: string, downloads: number, gated: boolean}[]}} Found
 * @typedef {{offer?: Offer, found?: Found[]}} Answer
 */

const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/**
 * Opens the dialog.
 *
 * @param {unknown[]} form the Deploy form's values, for the plan
 * @param {unknown} card the card that the plan is for
 * @param {unknown} model what the form's model field holds: the id of one that isn't here is looked at next
 * @param {(folder: string) => void} use chooses a model that is here already
 */
export function getModel(form, card, model, use) {
  const typed = el("input", {
    type: "text",
    id: "deploy-get-text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "Qwen/Qwen2.5-0.5B-Instruct",
    value: HUB_ID.test(String(model)) ? String(model) : "",
  });
  const look = el("button", { class: "button primary", type: "submit", id: "deploy-get-look" }, t("downloads.look"));
  const state = el("p", { class: "muted", role: "status", hidden: true });
  const problem = el("p", { class: "deploy-problem", role: "alert", hidden: true });
  const result = el("div", { class: "get-result" });
  const label = el("label", {}, el("span", {}, t("downloads.what")), typed);
  const line = el("form", { class: "get-line", onsubmit: submitted }, label, look);
  const hint = el("p", { class: "muted get-hint" }, t("downloads.hint"));
  const dialog = openDialog(
    { id: "deploy-get", title: t("downloads.get"), look: "get" },
    line,
    hint,
    state,
    problem,
    result,
  );
  typed.focus();

  /** @param {Event} event */
  function submitted(event) {
    event.preventDefault();
    ask();
  }

  async function ask() {
    await attempt(t("downloads.asking"), async () => {
      fill(result);
      const text = typed.value;
      /** @type {Answer} */
      const answer = await post("downloads/ask", { text, form, card });
      typed.defaultValue = text; // nothing is lost by closing now
      if (answer.offer) fill(result, cardOf(answer.offer));
      else fill(result, foundList(answer.found ?? []));
    });
  }

  /** Does it, saying that it is under way, and what went wrong. @param {string} under @param {() => Promise<void>} action */
  async function attempt(under, action) {
    problem.hidden = true;
    state.textContent = under;
    state.hidden = false;
    look.disabled = true;
    try {
      await action();
    } catch (error) {
      problem.textContent = sentences(error).join(" ");
      problem.hidden = false;
    } finally {
      state.hidden = true;
      look.disabled = false;
    }
  }

  /** @param {Found[]} found */
  function foundList(found) {
    return found.map(({ source, problem: why, models }) => {
      const rows = models.map((model) =>
        el(
          "li",
          {},
          el(
            "button",
            { class: "get-found", type: "button", dataset: { model: model.id }, onclick: () => pick(model.id) },
            el("strong", {}, model.id),
            el("span", { class: "muted" }, t("downloads.found.count", { count: number(model.downloads, 0) })),
            model.gated ? el("span", { class: "badge" }, t("downloads.card.gated")) : null,
          ),
        ),
      );
      const nothing = why ?? (models.length === 0 ? t("downloads.found.none") : null);
      return el(
        "section",
        { dataset: { source } },
        el("h3", {}, source),
        nothing ? el("p", { class: "muted" }, nothing) : el("ul", { class: "get-list" }, rows),
      );
    });
  }

  /** @param {string} id */
  function pick(id) {
    typed.value = id;
    ask();
  }

  /** @param {Offer} offer */
  function cardOf(offer) {
    let chosen = offer.sources.find((source) => source.number === offer.best) ?? null;
    const place = el("select", { id: "deploy-get-place", onchange: drawStart });
    const placeLine = el("label", { class: "get-place" }, el("span", {}, t("downloads.place")), place);
    const start = el("button", { class: "button primary", type: "button", id: "deploy-get-start", onclick: begin });
    const first = offer.sources.find(({ licence }) => licence);
    const gated = offer.sources.some((source) => source.gated);

    function drawStart() {
      const here = offer.here.length > 0;
      placeLine.hidden = here || !chosen;
      start.hidden = here || !chosen;
      start.textContent = t("downloads.start", { size: size(offer.size_bytes) });
    }

    function drawPlaces() {
      const places = chosen?.places ?? [];
      fill(
        place,
        places.map(({ id, path, free_bytes: free }) => {
          const room = free === null ? "" : t("downloads.place.free", { free: size(free) });
          const text =
            id === "hub" ? t("downloads.place.hub", { path, room }) : t("downloads.place.folder", { path, room });
          return el("option", { value: id }, text);
        }),
      );
      drawStart();
    }

    async function begin() {
      const source = chosen;
      if (!source) return;
      start.disabled = true;
      await attempt(t("downloads.starting"), async () => {
        await change("downloads", { offer: offer.id, source: source.number, place: place.value });
        dialog.close();
      });
      start.disabled = false;
    }

    const sources = offer.sources.map((source) => {
      const radio = el("input", {
        type: "radio",
        name: "deploy-get-source",
        value: String(source.number),
        checked: source === chosen,
        disabled: !source.can_give,
        onchange: () => {
          chosen = source;
          drawPlaces();
        },
      });
      return el(
        "li",
        { dataset: { source: source.name, able: source.can_give } },
        el(
          "label",
          {},
          radio,
          " ",
          el("strong", {}, source.name),
          " ",
          el("span", { class: "muted" }, told(source, offer)),
        ),
        source.problem ? el("p", { class: "muted get-why" }, source.problem) : null,
        source.token_helps || source.has_token ? tokenLine(source) : null,
      );
    });
    const facts = offer.facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
    drawPlaces();
    return el(
      "article",
      { class: "get-card", dataset: { model: offer.name, verdict: offer.verdict?.level ?? "" } },
      el("h3", {}, offer.name),
      facts.length ? el("dl", { class: "deploy-facts" }, facts) : null,
      offer.size_bytes > 0 ? el("p", {}, sizeLine(offer)) : null,
      el(
        "p",
        { class: "get-terms" },
        first ? t("downloads.card.licence", { licence: first.licence }) : null,
        gated ? el("span", { class: "badge", dataset: { level: "warning" } }, t("downloads.card.gated")) : null,
      ),
      offer.problem ? el("p", { class: "deploy-problem" }, offer.problem) : null,
      offer.verdict
        ? el(
            "p",
            { class: "get-verdict" },
            offer.verdict.title
              ? el("span", { class: "plan-verdict", dataset: { verdict: offer.verdict.level } }, offer.verdict.title)
              : null,
            " ",
            offer.verdict.text,
          )
        : null,
      offer.here.map((path) => hereLine(path)),
      el("h4", {}, t("downloads.sources")),
      el("ul", { class: "get-sources" }, sources),
      el("footer", { class: "get-foot" }, placeLine, start),
    );
  }

  /** @param {string} path */
  function hereLine(path) {
    const take = () => {
      use(path);
      dialog.close();
    };
    return el(
      "p",
      { class: "get-here" },
      t("downloads.card.here", { path }),
      " ",
      el("button", { class: "button small", type: "button", onclick: take }, t("downloads.use")),
    );
  }

  /** @param {Source} source */
  function tokenLine(source) {
    const input = el("input", {
      type: "password",
      autocomplete: "off",
      "aria-label": t("downloads.token", { source: source.name }),
      placeholder: t(source.has_token ? "downloads.token.kept" : "downloads.token.placeholder"),
    });
    const keep = async (/** @type {string} */ token) => {
      await attempt(t("downloads.asking"), async () => {
        await post("downloads/token", { endpoint: source.endpoint, token });
      });
      if (problem.hidden) await ask();
    };
    return el(
      "form",
      {
        class: "get-token",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          if (input.value.trim()) keep(input.value);
        },
      },
      input,
      el("button", { class: "button small", type: "submit" }, t("downloads.token.keep")),
      source.has_token
        ? el("button", { class: "button small", type: "button", onclick: () => keep("") }, t("downloads.token.forget"))
        : null,
    );
  }
}

/** What is said of a source that can give the model. @param {Source} source @param {Offer} offer */
export function told(source, offer) {
  const parts = [];
  if (source.model !== offer.name && source.can_give) parts.push(source.model);
  if (source.speed && source.can_give) parts.push(t("downloads.speed", { speed: size(source.speed) }));
  if (source.can_give && !source.same) parts.push(t("downloads.other-files"));
  if (source.number === offer.best && offer.sources.filter(({ can_give: can }) => can).length > 1)
    parts.push(t("downloads.fastest"));
  return parts.join(" · ");
}

/** @param {Offer} offer */
export function sizeLine(offer) {
  const whole = t("downloads.card.size", { size: size(offer.size_bytes), files: number(offer.files, 0) });
  return offer.left_bytes > 0 ? `${whole} ${t("downloads.card.left", { size: size(offer.left_bytes) })}` : whole;
}
