import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { stateText } = await import("../../../../../ui/tabs/deploy/installation.js");

test("how an installation stands", () => {
  const one = { id: "1", state: "running", started_at: 1000, ended_at: 0 };
  assert.match(stateText(one, 1065), /1 min 5 s/);
  assert.match(stateText({ ...one, state: "failed", ended_at: 1010 }, 9999), /10 s/);
  for (const state of ["succeeded", "cancelled", "interrupted"])
    assert.doesNotMatch(stateText({ ...one, state, ended_at: 1010 }, 9999), /installation\.|\{/);
});
