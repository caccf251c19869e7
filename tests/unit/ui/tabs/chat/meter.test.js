// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { isUnfit } from "../../../../../ui/tabs/chat/input.js";
import { shares } from "../../../../../ui/tabs/chat/meter.js";

test("what takes nothing isn't shown, files are one share", () => {
  const files = [{ tokens: 10 }, { tokens: null }, { tokens: 5 }].map((file) => ({
    name: "a",
    pages: 0,
    of_pages: 0,
    problem: "",
    notices: [],
    ...file,
  }));
  assert.deepEqual(shares({ files, question: 3, earlier: 0, answer: 100 }), [
    ["files", 15],
    ["question", 3],
    ["answer", 100],
  ]);
});

test("what no model reads isn't uploaded; code and text are", () => {
  for (const [name, type] of [
    ["song.mp3", "audio/mpeg"],
    ["film.mov", "video/quicktime"],
    ["report.docx", ""],
    ["model.safetensors", ""],
  ]) {
    assert.ok(isUnfit({ name, type }), name);
  }
  for (const [name, type] of [
    ["index.ts", "video/mp2t"],
    ["Makefile", ""],
    ["paper.pdf", "application/pdf"],
    ["a.png", "image/png"],
  ]) {
    assert.ok(!isUnfit({ name, type }), name);
  }
});
