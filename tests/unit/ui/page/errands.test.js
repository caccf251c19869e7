import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = /** @type {any} */ ({ documentElement: { dataset: {} }, getElementById: () => null });
const { send, takeErrands } = await import("../../../../ui/page/errands.js");

test("an errand waits for its tab's script, the last one alone, and is done once", () => {
  /** @type {string[][]} */
  const done = [];
  send("deploy", "edit", "a");
  send("deploy", "parser", "b");
  send("quantize", "x", "c");
  takeErrands("deploy", (...errand) => done.push(errand));
  assert.deepEqual(done, [["parser", "b"]]);
  send("deploy", "card", "d");
  takeErrands("deploy", (...errand) => done.push(["new", ...errand]));
  send("deploy", "edit", "e");
  assert.deepEqual(done, [
    ["parser", "b"],
    ["card", "d"],
    ["new", "edit", "e"],
  ]);
});
