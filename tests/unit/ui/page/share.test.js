// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback, wayFor } from "../../../../ui/page/share.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const share = { token: "abc", addresses: [""].slice(1), ssh: "ssh -CN -L 9000:127.0.0.1:8300 me@host" };

test("through a forwarded port: that port, with the SSH line", () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    const way = wayFor(`http://${host}:9000/${SECRET}/#chat`, share);
    assert.equal(way.address, `http://${host}:9000/?token=abc`);
    assert.equal(way.ssh, share.ssh);
    assert.equal(way.reached, "forward");
  }
});

test("behind a proxy: its address and prefix, without the secret path", () => {
  const way = wayFor(`https://hub.example/user/me/proxy/8300/${SECRET}/?view=x#vram`, share);
  assert.equal(way.address, "https://hub.example/user/me/proxy/8300/?token=abc");
  assert.equal(way.ssh, "");
  assert.equal(way.reached, "network");
});

test("a prefix behind a forwarded port stays", () => {
  assert.equal(wayFor(`http://localhost:9000/lab/${SECRET}/`, share).address, "http://localhost:9000/lab/?token=abc");
});

test("the console listens on the network: the machine's own address for others, however the operator came", () => {
  const listening = { ...share, addresses: ["http://192.168.7.5:8300", "http://10.0.0.2:8300"] };
  const way = wayFor(`http://127.0.0.1:8300/${SECRET}/`, listening);
  assert.equal(way.address, "http://192.168.7.5:8300/?token=abc");
  assert.equal(way.reached, "network");
  assert.equal(wayFor(`http://gpu.example:8300/${SECRET}/`, listening).address, "http://gpu.example:8300/?token=abc");
});

test("it listens on the network, and knows no address of its own there", () => {
  const way = wayFor(`http://127.0.0.1:8300/${SECRET}/`, { ...share, addresses: ["http://127.0.0.1:8300"] });
  assert.equal(way.reached, "forward");
  assert.equal(way.ssh, share.ssh);
});

test("what is loopback", () => {
  for (const host of ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"]) assert.ok(isLoopback(host), host);
  for (const host of ["127.0.0.1.example", "localhost.example", "10.0.0.1", "[::2]"])
    assert.ok(!isLoopback(host), host);
});
