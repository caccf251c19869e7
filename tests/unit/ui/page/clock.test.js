import "../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { skewOf } = await import("../../../../ui/page/clock.js");

test("a clock that is a little off counts as right, one that is far off doesn't", () => {
  assert.equal(skewOf(0, 101_000, 100_000, 100_200), 0);
  assert.equal(skewOf(0, 160_100, 100_000, 100_200), 60);
  assert.equal(skewOf(60, 100_100, 100_000, 100_200), 0);
});

test("a reply that comes late leaves what it may agree with", () => {
  assert.equal(skewOf(0, 100_000, 100_000, 110_000), 0);
  assert.equal(skewOf(60, 160_000, 100_000, 110_000), 60);
  assert.equal(skewOf(0, 165_000, 100_000, 110_000), 60);
});
