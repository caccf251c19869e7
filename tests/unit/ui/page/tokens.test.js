import "../../../support/page.js";

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const { aloud, chance, moved, named, piecesOf, readToken, shade, summary, visible } =
  await import("../../../../ui/page/tokens.js");

const token = (text, logprob, alternatives = [], raw = "") => ({ text, logprob, raw, alternatives });
const part = (raw, logprob = -0.1, alternatives = []) => token(`\\x${raw}`, logprob, alternatives, raw);
const texts = (tokens) => piecesOf(tokens).map(({ text }) => text);

test("a packed token is read; what is none is a token of which nothing is known", () => {
  assert.deepEqual(readToken('[" fox",-0.5,[[" dog",-2],["\\\\xe4",-3,"e4"]],""]'), {
    text: " fox",
    logprob: -0.5,
    raw: "",
    alternatives: [
      { text: " dog", logprob: -2, raw: "" },
      { text: "\\xe4", logprob: -3, raw: "e4" },
    ],
  });
  assert.equal(readToken('["a",null,[]]').logprob, null);
  assert.equal(readToken('["a",0.004,[]]').logprob, 0);
  for (const bad of ["", "5", "[]", "{", '["a"]', '["a",-1,5]', "null"]) {
    assert.deepEqual(readToken(bad), { text: "", logprob: null, raw: "", alternatives: [] });
  }
});

test("how sure a token is", () => {
  const of = (share) => shade(Math.log(share));
  assert.deepEqual([1, 0.9, 0.89, 0.5, 0.49, 0.2, 0.1, 0.05, 0.04].map(of), [1, 1, 2, 2, 3, 3, 4, 4, 5]);
  assert.deepEqual([shade(null), shade(-9999), shade(0)], [0, 5, 1]);
});

test("a probability as a person reads it", () => {
  const of = (share) => chance(Math.log(share));
  assert.deepEqual([1, 0.9999, 0.994, 0.62, 0.1, 0.042, 0.0004].map(of), [
    "100%",
    "> 99.9%",
    "99%",
    "62%",
    "10%",
    "4.2%",
    "< 0.1%",
  ]);
  assert.equal(chance(-9999), "< 0.1%");
  assert.match(chance(null), /not told/);
});

test("tokens that are parts of a character stand together", () => {
  const pieces = piecesOf([token("a", -0.1), part("e4bd", -0.2), part("a0", -0.3), token("b", -0.1)]);
  assert.deepEqual(
    pieces.map(({ text }) => text),
    ["a", "你", "b"],
  );
  assert.ok(Math.abs(pieces[1].logprob + 0.5) < 1e-9);
  assert.equal(pieces[1].tokens.length, 2);
  // An emoji in four tokens, two characters in three, one whose part isn't known.
  assert.deepEqual(texts([part("f0"), part("9f"), part("98"), part("80")]), ["😀"]);
  assert.deepEqual(texts([part("e4bd"), part("a0e5"), part("a5bd")]), ["你好"]);
  assert.equal(piecesOf([part("e4bd", null), part("a0")])[0].logprob, null);
});

test("parts that never make a character stand alone", () => {
  assert.deepEqual(texts([part("e4"), token("b", -0.1)]), ["\\xe4", "b"]);
  assert.deepEqual(texts([part("ff"), part("e4"), part("bd"), part("a0")]), ["\\xff", "你"]);
  const whole = (tokens) => piecesOf(tokens).map((piece) => piece.whole);
  assert.deepEqual(whole([token("a", 0), part("e4"), part("bd")]), [true, false, false]); // its end may still come
  assert.deepEqual(whole([part("e4"), token("b", 0)]), [true, true]);
});

test("a summary counts tokens, and what one sees", () => {
  const pieces = piecesOf([token("a", 0), token("b", Math.log(0.3)), token("c", null), part("e4bd"), part("a0", -5)]);
  assert.deepEqual(summary(pieces), { count: 5, known: 4, unsure: 2, chosen: false });
  assert.ok(summary(piecesOf([token("a", -1, [{ text: "b", logprob: -1, raw: "" }])])).chosen);
  assert.deepEqual(summary([]), { count: 0, known: 0, unsure: 0, chosen: false });
});

test("what can't be seen is shown, and has a name", () => {
  assert.equal(visible("a\n\tb"), "a↵\n⇥\tb");
  assert.equal(visible(""), "∅");
  assert.deepEqual([" ", "\n", " fox", "fox\n"].map(named), ["space", "line feed", " fox", "fox↵"]);
});

test("a screen reader says the alternatives, too", () => {
  const [piece] = piecesOf([token(" fox", Math.log(0.6), [{ text: " dog", logprob: Math.log(0.3), raw: "" }])]);
  assert.equal(aloud(piece), " fox, 60%. Instead:  dog 30%");
  assert.match(aloud(piecesOf([token("a", 0)])[0]), /Nothing else/);
});

test("the arrows lead from token to token, up and down to the unsure ones", () => {
  const pieces = piecesOf([0, -3, 0, -3, 0].map((logprob, number) => token(`t${number}`, logprob)));
  const from = (key, at) => moved(key, at, pieces);
  assert.deepEqual([from("ArrowRight", -1), from("ArrowRight", 4), from("ArrowLeft", 0)], [0, 4, 0]);
  assert.deepEqual([from("ArrowDown", 0), from("ArrowDown", 1), from("ArrowDown", 3)], [1, 3, 3]);
  assert.deepEqual([from("ArrowUp", 4), from("ArrowUp", 1), from("Home", 3), from("End", 0)], [3, 1, 0, 4]);
});

test("thousands of tokens are grouped at once", () => {
  const many = Array.from({ length: 10_000 }, (_, number) =>
    number % 3 ? part(number % 3 === 1 ? "e4bd" : "a0") : token("a", -1),
  );
  const began = performance.now();
  assert.equal(piecesOf(many).length, 6667);
  assert.ok(performance.now() - began < 2000);
});

/** Relative luminance, as WCAG has it. */
function luminance(colour) {
  const [red, green, blue] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

test("the text is readable on every shade, in light and in dark, and each shade has a line of its own", () => {
  const css = readFileSync(new URL("../../../../ui/page/tokens.css", import.meta.url), "utf-8");
  const [, light, dark] = /:root \{([^}]*)\}[^{]*\{([^}]*)\}/.exec(css);
  for (const theme of [light, dark]) {
    const colours = Object.fromEntries(
      [...theme.matchAll(/--token-(\w+): (#\w{6})/g)].map(([, name, value]) => [name, value]),
    );
    assert.deepEqual(Object.keys(colours), ["2", "3", "4", "5", "ink"]);
    const { ink, ...backgrounds } = colours;
    for (const background of Object.values(backgrounds)) {
      const [low, high] = [luminance(ink), luminance(background)].sort((one, two) => one - two);
      assert.ok((high + 0.05) / (low + 0.05) >= 4.5, `${ink} on ${background}`);
    }
  }
  const lines = [...css.matchAll(/data-shade="[2-5]"\] \{[^}]*underline (\w+)/g)].map(([, line]) => line);
  assert.equal(new Set(lines).size, 4);
});
