// @ts-check
/**
 * A server's life on its card: that it sleeps, that it crashed and is started again, and the wishes for that, folded.
 */

import { now } from "../../page/clock.js";
import { el, fill } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { t } from "../../page/texts.js";
import { isAlive, isExternal, isProxy } from "./server_facts.js";

/** @import { Server } from "../../page/types.d.ts" */

const SLEEPS = ["pytorch"]; // backend/servers/life.py says why

/** What its card says of sleep and crashes; "" for nothing. @param {Server} server @returns {string[]} */
export function lifeLines({ asleep, crash, life, state, reason }) {
  const lines = [];
  if (asleep) lines.push(t("life.asleep"));
  if (life?.problem) lines.push(life.problem);
  if (!crash) return lines;
  const most = life?.restarts ?? 0;
  const about = { count: crash.count, most, reason: crash.reason ?? "", ago: duration(Math.max(0, now() - crash.at)) };
  if (state === "failed" || state === "stopped") {
    const seconds = Math.max(0, Math.ceil(crash.again_at - now()));
    if (crash.again_at) lines.push(t("life.again", { ...about, seconds }));
    else lines.push(t(crash.reason && crash.reason !== reason ? "life.given-up.why" : "life.given-up", about));
  } else {
    lines.push(t("life.started-again", about));
  }
  return lines;
}

/** Which wishes its form shows. @param {Server} server */
export const wishes = (server) => ({
  kept: !isExternal(server),
  sleep: SLEEPS.includes(server.engine),
});

/** What its form was drawn from: a problem is told elsewhere. @param {Pick<Server, "life">} server */
export const asWished = ({ life }) => JSON.stringify([life?.restarts, life?.idle_s, life?.comes_back]);

/**
 * @param {string} id the server's
 * @param {(path: string, body: object) => Promise<boolean>} act resolves to whether it was done
 */
export function lifePanel(id, act) {
  const lines = el("div", { class: "deploy-life-lines" });
  /** @param {string} key @param {string} unit @param {string} max */
  const number = (key, unit, max) => {
    const input = el("input", { type: "number", min: "0", max, step: "1", id: `life-${key}-${id}` });
    const label = el("label", { for: input.id }, t(`life.${key}`));
    return { input, row: el("div", { class: "deploy-life-row" }, label, input, el("span", {}, unit)) };
  };
  const restarts = number("restarts", t("life.restarts.unit"), "20");
  const idle = number("idle", t("life.idle.unit"), "10080");
  const back = el("input", { type: "checkbox", id: `life-back-${id}` });
  const backRow = el("div", { class: "deploy-life-row" }, back, el("label", { for: back.id }, t("life.comes-back")));
  const save = el("button", { class: "button small", type: "submit" }, t("life.save"));
  const form = el("form", {}, restarts.row, idle.row, backRow, el("p", { class: "deploy-note" }, t("life.note")), save);
  const fold = el("details", { class: "deploy-life" }, el("summary", {}, t("life.title")), form);
  form.noValidate = true; // the console says what is wrong, in the page's language
  form.addEventListener("input", () => (typed = true));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    typed = false;
    const done = await act("life", {
      restarts: Math.trunc(Number(restarts.input.value)),
      idle_minutes: SLEEPS.includes(engine) ? Number(idle.input.value) : 0,
      comes_back: back.checked,
    });
    save.disabled = false;
    if (done && !typed) shown = ""; // the boxes say what was taken; what was refused stays, to be mended
  });
  let typed = false;
  let shown = "";
  let engine = "";

  return {
    lines,
    element: fold,
    /** @param {Server} server */
    tick(server) {
      const texts = lifeLines(server);
      if (texts.join("\n") === lines.dataset.shown) return;
      lines.dataset.shown = texts.join("\n");
      fill(
        lines,
        texts.map((text) => el("p", { class: "deploy-note" }, text)),
      );
    },
    /** @param {Server} server @param {boolean} operator */
    show(server, operator) {
      const { kept, sleep } = wishes(server);
      fold.hidden = !kept || !operator || !server.life;
      lines.hidden = !server.life;
      engine = server.engine;
      idle.row.hidden = !sleep || isProxy(server);
      fold.dataset.on = String(
        Boolean(server.life && (server.life.restarts || server.life.idle_s || server.life.comes_back)),
      );
      this.tick(server);
      const key = asWished(server);
      if (!server.life || key === shown) return;
      shown = key; // what a person types is left alone until the wishes themselves change
      restarts.input.value = String(server.life.restarts);
      idle.input.value = String(Math.round((server.life.idle_s / 60) * 100) / 100);
      back.checked = server.life.comes_back;
    },
    /** @param {Server} server */
    canWake: (server) => Boolean(server.asleep) && isAlive(server),
  };
}
