// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { inTurn } from "../../../../../ui/tabs/chat/in_turn.js";

test("the next goes once the one before has arrived, and of those that wait only the last", async () => {
  /** @type {string[]} */
  const told = [];
  const turn = inTurn((/** @type {string} */ value) => void told.push(value));
  await turn.all();
  for (const value of ["a", "b", "c"]) turn.tell(value);
  assert.deepEqual(told, ["a"]);
  let there = false;
  const all = turn.all().then(() => (there = true));
  turn.arrived();
  await Promise.resolve();
  assert.deepEqual([told, there], [["a", "c"], false]);
  turn.arrived();
  await all;
  turn.arrived(); // one that comes late changes nothing
  turn.tell("d");
  assert.deepEqual(told, ["a", "c", "d"]);
});

test("an answer that doesn't come holds nobody up", async () => {
  /** @type {string[]} */
  const told = [];
  const turn = inTurn((/** @type {string} */ value) => void told.push(value), 1);
  turn.tell("a");
  turn.tell("b");
  await turn.all();
  assert.deepEqual(told, ["a", "b"]);
});
