// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { dayOf } from "../../../../../ui/tabs/chat/list_days.js";

/** @param {number} month @param {number} day @param {number} [hour] */
const at = (month, day, hour = 12) => new Date(2026, month - 1, day, hour);

test("conversations are divided by the reader's own days", () => {
  const now = at(11, 25, 0);
  /** @param {Date} then */
  const heading = (then) => dayOf(then.getTime() / 1000, now);
  assert.equal(heading(at(11, 25, 0)), "chat.list.today");
  assert.equal(heading(at(11, 24, 23)), "chat.list.yesterday");
  assert.equal(heading(at(11, 23, 23)), "chat.list.week");
  assert.equal(heading(at(11, 19, 0)), "chat.list.week");
  assert.match(heading(at(11, 18, 23)), /2026/);
  assert.notEqual(heading(at(10, 1)), heading(at(11, 1)));
});
