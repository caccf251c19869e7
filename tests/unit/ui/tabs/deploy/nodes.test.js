import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { latency, speed } = await import("../../../../../ui/tabs/deploy/nodes.js");

const node = (figures) => ({ tokens_per_s: null, answers_a_minute: null, latency_s: null, ...figures });

test("a node's speed is what it generates, else how much it answers, else nothing", () => {
  assert.match(speed(node({ tokens_per_s: 412.5, answers_a_minute: 3 })), /412\.5/);
  assert.match(speed(node({ answers_a_minute: 0 })), /0/);
  assert.equal(speed(node({})), "–");
});

test("its latency has digits only where they tell something", () => {
  assert.match(latency(node({ latency_s: 0.004 })), /0\.00/);
  assert.match(latency(node({ latency_s: 61.4 })), /61\D/);
  assert.equal(latency(node({})), "–");
});
