import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

import { whenSeen } from "../../../../../ui/tabs/chat/when_seen.js";

test("a hidden page is drawn now and then, at the end, and when it is seen again", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const listeners = [];
  t.mock.method(document, "addEventListener", (_, listener) => listeners.push(listener));
  let drawn = 0;
  const look = whenSeen(() => (drawn += 1), 1000);
  const turn = (hidden) => {
    document.hidden = hidden;
    for (const listener of listeners) listener();
  };
  t.after(() => delete document.hidden);
  look(false);
  look(false);
  assert.equal(drawn, 2);
  turn(true);
  for (let words = 0; words < 20; words += 1) look(false);
  assert.equal(drawn, 2);
  t.mock.timers.tick(1000);
  assert.equal(drawn, 3);
  look(false);
  turn(false);
  assert.equal(drawn, 4); // what came meanwhile is seen at once
  t.mock.timers.tick(5000);
  turn(true);
  turn(false);
  assert.equal(drawn, 4); // nothing new came
  turn(true);
  look(false);
  look(true);
  t.mock.timers.tick(5000);
  assert.equal(drawn, 5);
});
