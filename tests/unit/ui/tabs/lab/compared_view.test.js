import assert from "node:assert/strict";
import test from "node:test";

import "../../../../support/page.js";

/** As much of an element as these views use. */
class Element {
  constructor(tag) {
    Object.assign(this, { tag, children: [], dataset: {}, style: {}, attributes: {} });
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  addEventListener() {}
  replaceChildren(...children) {
    this.children = children;
  }
  get text() {
    return this.children.map((child) => (child instanceof Element ? child.text : child)).join("");
  }
  /** Every element of that tag in it. */
  all(tag) {
    const inner = this.children.flatMap((child) => (child instanceof Element ? child.all(tag) : []));
    return this.tag === tag ? [this, ...inner] : inner;
  }
}
globalThis.document.createElement = (tag) => new Element(tag);
const { answerText, comparedView } = await import("../../../../../ui/tabs/lab/compared_view.js");

const GIB = 2 ** 30;
const flat = (children) => children.flat(Infinity).filter((child) => child instanceof Element);
const answer = (same, rest, right = null) => ({ same, rest, differs: rest !== null, right, tokens: 3, cut: false });

test("an answer is marked from its first difference on", () => {
  const [mark, shown] = flat(answerText({ ...answer("The ", "<b>fox</b>", false), rest: "<b>fox</b>" }));
  assert.deepEqual([mark.text, mark.dataset.right, shown.text], ["✗", "0", "The <b>fox</b>"]);
  assert.deepEqual(
    shown.all("mark").map((one) => one.text),
    ["<b>fox</b>"],
  );
  const [same] = flat(answerText({ ...answer("The fox", ""), differs: false }));
  assert.deepEqual([same.text, same.all("mark").length], ["The fox", 0]);
  const [shorter] = flat(answerText({ ...answer("The", ""), differs: true }));
  assert.equal(shorter.all("mark")[0].text, "∅"); // it ends where the other goes on
});

const line = (name, more) => ({
  line: name, name, skipped: null, problem: null, planned_bytes: 22 * GIB, measured_bytes: 23 * GIB, planned_tokens: 9,
  tokens: null, tokens_times: null, speed: 50, speed_many: null, speed_times: null, speed_many_times: null,
  perplexity: null, right: null, scored: null, claim: { bytes: null, tokens_times: null, speed_times: null }, ...more,
}); // prettier-ignore

test("the course's word stands below what was measured; what wasn't measured says why", () => {
  const claim = { bytes: 19 * GIB, tokens_times: 4, speed_times: null };
  const table = [
    line("kv4", { tokens_times: 3.75, right: 12, scored: 14, claim }),
    line("all", { speed: null, skipped: "no weights" }),
  ];
  const [shown] = flat(comparedView({ servers: [], answers: [], table }));
  const [, first, second] = shown.all("tr");
  const cells = first.all("td").map((cell) => cell.text);
  assert.deepEqual(cells.slice(0, 4), ["22.0 GiB", "23.0 GiBthe course: 19.0 GiB", "9", "3.75 ×the course: 4 ×"]);
  assert.deepEqual(cells.slice(4), ["50", "–", "– / –", "–", "12 / 14"]);
  assert.deepEqual(
    second.all("td").map((cell) => [cell.text, cell.attributes.colspan]),
    [["no weights", "9"]],
  );
});

test("a server that wasn't asked yet has dashes, and what one can't say is told below", () => {
  const figures = {
    right: 1, scored: 2, answered: 2, same: null, agreement: 0.984, hits: null, perplexity: null, tokens_per_s: 40,
  }; // prettier-ignore
  const servers = [
    { name: "a", bytes: GIB, problems: { perplexity: "HTTP 404" }, figures },
    { name: "b", bytes: null, problems: {}, figures: null },
  ];
  const answers = [{ id: "q", kind: "facts", text: "?", answers: [answer("x", ""), null] }];
  const [table, notes, texts] = flat(comparedView({ servers, answers, table: null }));
  const rows = table.all("tr").map((row) => row.all("td").map((cell) => cell.text));
  assert.deepEqual(rows[1], ["1 / 2", "–", "98.4 %", "–", "–", "40", "1.0 GiB"]);
  assert.deepEqual(new Set(rows[2]), new Set(["–"]));
  assert.equal(notes.all("li").length, 2);
  assert.equal(texts.all("td").length, 2);
});
