// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { isAccepted } from "../../../../../ui/tabs/chat/input.js";

const ACCEPT = "image/*, .heic, .PSD";

test("pictures by kind or by name are taken, all else isn't", () => {
  for (const [name, type] of [
    ["a.png", "image/png"],
    ["photo.HEIC", ""],
    ["b.psd", "application/octet-stream"],
  ]) {
    assert.ok(isAccepted({ name, type }, ACCEPT), name);
  }
  for (const [name, type] of [
    ["notes.txt", "text/plain"],
    ["heic", ""],
    ["clip.mp4", "video/mp4"],
    ["", ""],
  ]) {
    assert.ok(!isAccepted({ name, type }, ACCEPT), name);
  }
  assert.ok(isAccepted({ name: "x", type: "" }, ""), "an input that takes everything");
});
