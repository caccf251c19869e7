import assert from "node:assert/strict";
import test from "node:test";

import { remember, remembered } from "../../../../ui/page/browser_storage.js";

/** @param {string} name @param {() => unknown} get */
const browser = (name, get) => Object.defineProperty(globalThis, name, { get, configurable: true });

test("what is kept is found again, in its own place", () => {
  for (const where of /** @type {const} */ (["localStorage", "sessionStorage"])) {
    const kept = new Map();
    const store = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
    browser(where, () => store);
    assert.equal(remembered("a", where), null);
    remember("a", where, where);
  }
  assert.equal(remembered("a"), "localStorage");
  assert.equal(remembered("a", "sessionStorage"), "sessionStorage");
});

test("a browser that forbids storage, or is full, breaks nothing", () => {
  const fails = () => {
    throw new DOMException("no", "SecurityError");
  };
  browser("localStorage", fails);
  remember("a", "b");
  assert.equal(remembered("a"), null);
  browser("localStorage", () => ({ getItem: () => "old", setItem: fails }));
  remember("a", "b");
  assert.equal(remembered("a"), "old");
});
