import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { IntegrityError, SealedWebSocket } from "tidegate-client";
import { Conversation } from "./conversation.js";
import { startPeer } from "./peer.js";
import { keys, sealings } from "./vectors.js";

let peer;
before(async () => (peer = await startPeer()));
after(() => peer.stop());

for (const kind of Object.keys(sealings)) {
  test(`messages of every kind arrive in order: ${kind}`, async () => {
    const { url, ending } = peer.direct();
    const talk = new Conversation(url, sealings[kind]);
    await talk.opened;
    const changing = new Uint8Array([1, 2, 3]);
    talk.socket.send("Grüße");
    talk.socket.send(new Blob(["blob"]));
    talk.socket.send(changing);
    changing.fill(9); // after send() the buffer is the caller's again
    talk.socket.send(new Uint8Array([0, 7, 8, 0]).buffer);
    talk.socket.send(new DataView(new Uint8Array([0, 7, 8, 0]).buffer, 1, 2));
    talk.socket.send("");
    talk.socket.send("\ufeffbyte order mark");
    talk.socket.send("a".repeat(70_000));
    talk.socket.send(new Uint8Array(65_504));
    await talk.received(9);
    assert.deepEqual(talk.messages.slice(0, 7), [
      "Grüße",
      new TextEncoder().encode("blob"),
      Uint8Array.of(1, 2, 3),
      Uint8Array.of(0, 7, 8, 0),
      Uint8Array.of(7, 8),
      "",
      "\ufeffbyte order mark",
    ]);
    assert.equal(talk.messages[7], "a".repeat(70_000));
    assert.equal(talk.messages[8].length, 65_504);
    talk.socket.close();
    const { code, reason, wasClean } = await talk.closed;
    assert.deepEqual([code, reason, wasClean, talk.errors.length], [1000, "", true, 0]);
    assert.equal((await ending).ending, "closed 1000");
    assert.equal((await ending).received.length, 9);
  });
}

test("what was agreed is told", async () => {
  const talk = new Conversation(peer.direct().url, { key: keys.secret });
  assert.equal(talk.socket.integrity, null);
  await talk.opened;
  assert.deepEqual(talk.socket.integrity, { algorithm: "hmac-sha-256", kid: "edge-2026-11", binding: "message" });
  talk.socket.close();
  await talk.closed;
});

test("the subprotocol is the application's", async () => {
  const chosen = new Conversation(peer.direct({ select: "a~b" }).url, { key: keys.secret, protocols: ["chat", "a~b"] });
  const without = new Conversation(peer.direct().url, { key: keys.secret });
  await Promise.all([chosen.opened, without.opened]);
  assert.deepEqual([chosen.socket.protocol, without.socket.protocol], ["a~b", ""]);
  chosen.socket.close();
  without.socket.close();
  await Promise.all([chosen.closed, without.closed]);
});

test("binary messages are blobs unless asked for otherwise", async () => {
  const talk = new Conversation(peer.direct().url, { key: keys.secret, binaryType: "blob" });
  await talk.opened;
  talk.socket.send(Uint8Array.of(1, 2));
  await talk.received(1);
  assert.deepEqual(new Uint8Array(await talk.messages[0].arrayBuffer()), Uint8Array.of(1, 2));
  talk.socket.binaryType = "nonsense";
  assert.equal(talk.socket.binaryType, "blob");
  talk.socket.close();
  await talk.closed;
});

test("a message in fragments is whole", async () => {
  const talk = new Conversation(peer.direct().url, { key: keys.secret });
  await talk.opened;
  talk.socket.send("!pieces");
  await talk.received(1);
  assert.deepEqual(talk.messages, ["Grüße!"]);
  talk.socket.close();
  await talk.closed;
});

test("a sealed Close passes both ways with code and reason", async () => {
  const theirs = new Conversation(peer.direct().url, { key: keys.secret });
  await theirs.opened;
  theirs.socket.send("!close 4001 bis später");
  const { code, reason, wasClean } = await theirs.closed;
  assert.deepEqual([code, reason, wasClean, theirs.errors.length], [4001, "bis später", true, 0]);

  const { url, ending } = peer.direct();
  const ours = new Conversation(url, { key: keys.secret });
  await ours.opened;
  ours.socket.send("before the Close");
  ours.socket.close(4002, "x".repeat(80));
  assert.equal(ours.socket.readyState, SealedWebSocket.CLOSING);
  assert.equal((await ours.closed).code, 4002);
  assert.equal((await ending).ending, `closed 4002 ${"x".repeat(80)}`);
  assert.deepEqual((await ending).received, [["text", "before the Close"]]);
});

for (const [order, code] of [["!cut", 1006], ["!plain-close", 1008]]) {
  test(`an end without a sealed Close is never clean: ${order}`, async () => {
    const talk = new Conversation(peer.direct().url, { key: keys.secret });
    await talk.opened;
    talk.socket.send(order);
    const event = await talk.closed;
    assert.deepEqual([event.code, event.wasClean], [code, false]);
    assert.ok(talk.errors[0] instanceof IntegrityError);
  });
}

for (const answer of ["none", "nonce"]) {
  test(`a server that does not agree is refused: ${answer}`, async () => {
    const talk = new Conversation(peer.direct({ answer }).url, { key: keys.secret });
    talk.opened.then(() => assert.fail("opened"));
    const { code, wasClean } = await talk.closed;
    assert.deepEqual([code, wasClean, talk.errors.length], [1006, false, 1]);
  });
}

test("a key that the server does not know is refused", async () => {
  const talk = new Conversation(peer.direct().url, { key: { kid: "nobody", secret: new Uint8Array(32) } });
  assert.equal((await talk.closed).code, 1006);
  assert.match(talk.errors[0].message, /refused/);
  assert.match(talk.errors[0].cause.message, /400/);
});

test("a wrong secret is noticed by both ends", async () => {
  const { url, ending } = peer.direct();
  const talk = new Conversation(url, { key: { kid: "edge-2026-11", secret: new Uint8Array(32) } });
  await talk.opened;
  talk.socket.send("hello");
  const event = await talk.closed;
  assert.deepEqual([event.code, event.reason], [1008, "frame-integrity: mismatch"]);
  assert.equal((await ending).ending, "mismatch");
});

test("close() before the connection is open ends it", async () => {
  const talk = new Conversation(peer.direct({ answer: "silence" }).url, { key: keys.secret });
  talk.opened.then(() => assert.fail("opened"));
  assert.throws(() => talk.socket.send("too early"), { name: "InvalidStateError" });
  talk.socket.close();
  assert.equal(talk.socket.readyState, SealedWebSocket.CLOSING);
  assert.equal((await talk.closed).code, 1006);
  assert.equal(talk.socket.readyState, SealedWebSocket.CLOSED);
});

test("handlers, constants and counts are those of a WebSocket", async () => {
  const socket = new SealedWebSocket(peer.direct().url.replace("ws:", "http:"), "chat", { key: keys.secret, WebSocket });
  assert.match(socket.url, /^ws:/);
  assert.equal(socket.onopen, null);
  await new Promise((resolve) => (socket.onopen = resolve));
  assert.deepEqual([socket.readyState, socket.OPEN, socket.extensions], [1, 1, ""]);
  socket.send("twelve octet");
  assert.ok(socket.bufferedAmount >= 12);
  const first = () => assert.fail("this handler was replaced");
  socket.onmessage = first;
  const echoed = new Promise((resolve) => (socket.onmessage = resolve));
  assert.equal((await echoed).origin, new URL(socket.url).origin);
  socket.onmessage = null;
  assert.equal(socket.onmessage, null);
  const closed = new Promise((resolve) => (socket.onclose = resolve));
  socket.close();
  socket.send("lost, as with a WebSocket");
  assert.equal((await closed).type, "close");
});

for (const [what, make, name] of [
  ["a URL that is none", () => new SealedWebSocket("ws://", [], { WebSocket }), "SyntaxError"],
  ["another scheme", () => new SealedWebSocket("ftp://localhost", [], { WebSocket }), "SyntaxError"],
  ["a fragment", () => new SealedWebSocket("ws://localhost/#a", [], { WebSocket }), "SyntaxError"],
  ["a subprotocol that is no token", () => new SealedWebSocket("ws://localhost", "a b", { WebSocket }), "SyntaxError"],
  ["a subprotocol twice", () => new SealedWebSocket("ws://localhost", ["a", "a"], { WebSocket }), "SyntaxError"],
]) {
  test(`the constructor refuses ${what}`, () => assert.throws(make, { name }));
}

for (const [code, reason, name] of [[1008, "", "InvalidAccessError"], [1001, "", "InvalidAccessError"], [1000, "ü".repeat(41), "SyntaxError"]]) {
  test(`close(${code}) with ${reason.length} characters is refused`, async () => {
    const talk = new Conversation(peer.direct().url, { key: keys.secret });
    await talk.opened;
    assert.throws(() => talk.socket.close(code, reason), { name });
    talk.socket.close();
    await talk.closed;
  });
}
