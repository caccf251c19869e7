import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { comparable, ticked } = await import("../../../../../ui/tabs/chat/in_turn_view.js");

test("settings are asked in the order in which they were ticked", () => {
  let chosen = ticked([], "b", true);
  chosen = ticked(chosen, "a", true);
  assert.deepEqual(chosen, ["b", "a"]);
  assert.deepEqual(ticked(chosen, "b", true), ["a", "b"]); // ticked anew
  assert.deepEqual(ticked(chosen, "b", false), ["a"]);
  assert.deepEqual(ticked(chosen, "c", false), ["b", "a"]);
});

test("two to four can be compared", () => {
  const counts = [0, 1, 2, 3, 4, 5].filter((count) => comparable(Array.from({ length: count }, String)));
  assert.deepEqual(counts, [2, 3, 4]);
});
