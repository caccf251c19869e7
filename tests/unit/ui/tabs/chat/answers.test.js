// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { languageOf } from "../../../../../ui/tabs/chat/answers.js";

test("a block of code is named by its class", () => {
  assert.equal(languageOf("language-python"), "python");
  assert.equal(languageOf("hljs language-c wide"), "c");
  assert.equal(languageOf("wide"), "");
  assert.equal(languageOf(""), "");
});
