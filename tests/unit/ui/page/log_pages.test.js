import assert from "node:assert/strict";
import test from "node:test";

import { isChunk, LogPages, shown } from "../../../../ui/page/log_pages.js";

/** A log on disk, read as ui/web/routes.py reads it: bytes, with U+FFFD for what is no text. */
class Log {
  constructor(...parts) {
    this.bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
  }

  chunk(offset, next) {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.bytes.subarray(offset, next));
    return { text, offset, next, size: this.bytes.length };
  }

  get lines() {
    return this.chunk(0, this.bytes.length).text.split("\n");
  }
}

/** What a page shows: the lines that came and went as LogPages says. */
class View {
  lines = [];

  constructor(log, offset = 0) {
    this.log = log;
    this.pages = new LogPages(offset);
  }

  readTo(next, most = Infinity) {
    this.lines.push(...this.pages.append(this.log.chunk(this.pages.next, next)));
    this.lines.splice(0, this.pages.trim(most));
  }

  earlier(bytes) {
    const from = Math.max(0, this.pages.first - bytes);
    const lineEnd = this.log.bytes.indexOf("\n", from) + 1; // a part begins with a line, if one ends in it
    const begin = from > 0 && lineEnd > 0 && lineEnd < this.pages.first ? lineEnd : from;
    const chunk = this.log.chunk(begin, this.pages.first);
    this.lines.unshift(...this.pages.prepend(chunk));
  }

  get all() {
    return [...this.lines, this.pages.partial];
  }
}

const GBK = Buffer.from([0xc4, 0xe3, 0xba, 0xc3, 0x0a]); // 你好 in GBK: four bytes that are no UTF-8
const numbered = (count) => Array.from({ length: count }, (_, number) => `line ${number}\n`);
const logs = {
  ascii: new Log(...numbered(200)),
  gbk: new Log(...numbered(200).flatMap((line) => [line, GBK])),
  chinese: new Log(...numbered(200).map((line) => `第 ${line}`)),
  "without a last line feed": new Log(...numbered(50), "the end"),
  "one long line": new Log("x".repeat(3000)),
  "empty lines": new Log("\n\n\na\n\n\n"),
};

/** Places where a piece may end: between characters, as the console cuts. */
function cuts(log, step) {
  const places = [];
  for (let at = step; at < log.bytes.length; at += step) {
    let place = at;
    while (place < log.bytes.length && (log.bytes[place] & 0xc0) === 0x80) place += 1;
    places.push(place);
  }
  return [...new Set([...places, log.bytes.length])];
}

for (const [name, log] of Object.entries(logs)) {
  test(`${name}: read in pieces of any size, it is whole`, () => {
    for (const step of [1, 2, 7, 64, 1000]) {
      const view = new View(log);
      for (const place of cuts(log, step)) view.readTo(place);
      assert.deepEqual(view.all, log.lines, `${step} bytes`);
      assert.equal(view.pages.next, log.bytes.length);
    }
  });

  test(`${name}: what left at the top comes back, each line once`, () => {
    for (const [step, most] of [
      [7, 5],
      [64, 20],
      [100, 1],
      [333, 10],
    ]) {
      const view = new View(log);
      for (const place of cuts(log, step)) view.readTo(place, most);
      const bound = most + step; // at most one piece more than wanted
      assert.ok(view.lines.length <= bound, `${view.lines.length} lines`);
      for (let tries = 0; view.pages.first > 0; tries += 1) {
        assert.ok(tries < 10_000);
        view.earlier(4096);
      }
      assert.deepEqual(view.all, log.lines, `${step} bytes, ${most} lines`);
    }
  });
}

test("going back in small pieces shows whole lines only, and loses none", () => {
  for (const log of [logs.ascii, logs.gbk, logs.chinese]) {
    const view = new View(log, log.bytes.length);
    const whole = new Set(log.lines);
    while (view.pages.first > 0) {
      view.earlier(100);
      assert.ok(view.lines.every((line) => whole.has(line)));
    }
    assert.deepEqual(view.lines, log.lines.slice(0, -1));
  }
});

test("a progress bar that is written over and over doesn't grow for ever", () => {
  const pages = new LogPages();
  const bar = "#".repeat(500);
  for (let at = 0; at < 1000; at += 1) {
    const text = `\r${at}% ${bar}`;
    pages.append({ text, offset: at, next: at + 1, size: at + 1 });
  }
  assert.ok(pages.partial.length < 100_000);
  assert.equal(shown(pages.partial), `999% ${bar}`);
  assert.deepEqual(pages.append({ text: "\n", offset: 1000, next: 1001, size: 1001 }).map(shown), [`999% ${bar}`]);
  assert.equal(pages.trim(0), 0);
});

test("a line as a terminal leaves it", () => {
  for (const [raw, line] of [
    ["plain", "plain"],
    ["1%\r2%\r", "2%"],
    ["\x1b[31mred\x1b[0m", "red"],
    ["\x1b]0;title\x07text", "text"],
    ["\r\r", ""],
    ["", ""],
  ]) {
    assert.equal(shown(raw), line);
  }
});

test("what is no part of a log", () => {
  assert.ok(isChunk({ text: "", offset: 0, next: 0, size: 0 }));
  for (const other of [
    {},
    { text: "a", offset: 0, next: 1 },
    { text: 1, offset: 0, next: 1, size: 1 },
    { text: "a", offset: null, next: 1, size: 1 },
    { text: "a", offset: 0, next: "1", size: 1 },
    { text: "a", offset: 0, next: NaN, size: 1 },
  ]) {
    assert.ok(!isChunk(other), JSON.stringify(other));
  }
});
