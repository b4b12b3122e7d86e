// What a connection is made with: nothing is guessed, and what is wrong is refused before anything is sent.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SealedWebSocket } from "tidegate-client";
import { Conversation } from "./conversation.js";
import { startPeer } from "./peer.js";
import { keys } from "./vectors.js";

const SECRET = new Uint8Array(32).fill(7);
const UNSET = process.env.TIDEGATE_THIS_IS_NOT_SET;

let peer;
before(async () => (peer = await startPeer()));
after(() => peer.stop());

/** A class underneath that must not be reached. */
class Unreached {
  constructor() {
    assert.fail("a connection was begun");
  }
}

function make(options) {
  return () => new SealedWebSocket("ws://localhost", [], { WebSocket: Unreached, ...options });
}

for (const [what, options, message] of [
  ["neither a key nor an algorithm", {}, /^nothing says how to seal; give a key, or ask for algorithm "sha-256" by name/],
  ["a key that is undefined", { key: UNSET }, /^key is undefined; give a secret .* or leave key out/],
  ["a key that is null", { key: null }, /^key is null;/],
  ["an undefined key though sha-256 is asked for", { key: UNSET, algorithm: "sha-256" }, /^key is undefined;/],
  ["a misspelt key", { kee: keys.secret }, /^unknown option "kee"; did you mean "key"\?/],
  ["a misspelt key beside sha-256", { Key: keys.secret, algorithm: "sha-256" }, /"Key"; did you mean "key"\?/],
  ["an option of another case", { key: keys.secret, webSocketOption: {} }, /did you mean "webSocketOptions"\?/],
  ["an option like no other", { key: keys.secret, compression: true }, /^unknown option "compression" \(known: key, algorithm,/],
  ["a key beside sha-256", { key: keys.secret, algorithm: "sha-256" }, /^sha-256 takes no key; leave key out/],
  ["hmac-sha-256 without a key", { algorithm: "hmac-sha-256" }, /^hmac-sha-256 takes a key/],
  ["an unknown algorithm", { algorithm: "md5" }, /^algorithm is "md5"; it must be "hmac-sha-256" or "sha-256"$/],
  ["an algorithm that is null", { algorithm: null }, /^algorithm is null; it must be/],
]) {
  test(`the constructor refuses ${what}`, () => assert.throws(make(options), { name: "TypeError", message }));
}

for (const [what, key, message] of [
  ["a string", "c2VjcmV0", /^key is a string; it must be \{ kid, secret \} or \{ kid, publicKey \}$/],
  ["bytes", SECRET, /^unknown member of key "0"/],
  ["a missing kid", { secret: SECRET }, /^key id is missing: kid is undefined; it must be 1 to 64 characters/],
  ["a kid that is a number", { kid: 7, secret: SECRET }, /^key id is a number; it must be a string/],
  ["an empty kid", { kid: "", secret: SECRET }, /^key id "" is not 1 to 64 characters of A-Z a-z 0-9 . _ -$/],
  ["a kid with ~", { kid: "a~b", secret: SECRET }, /^key id "a~b" is not/],
  ["a kid with a line break", { kid: "a\n", secret: SECRET }, /is not 1 to 64/],
  ["a kid of 65 characters", { kid: "k".repeat(65), secret: SECRET }, /is not 1 to 64/],
  ["neither secret nor publicKey", { kid: "k" }, /^key "k" has neither a secret nor a publicKey/],
  ["both", { kid: "k", secret: SECRET, publicKey: SECRET }, /^key "k" must have either a secret or a publicKey, not both$/],
  ["an undefined secret", { kid: "k", secret: UNSET }, /^secret of key "k" is missing: it is undefined; give 32 to 64 bytes/],
  ["a secret that is null", { kid: "k", secret: null }, /^secret of key "k" is missing: it is null;/],
  ["an undefined publicKey", { kid: "k", publicKey: UNSET }, /^publicKey of key "k" is missing: it is undefined; give 32 bytes/],
  ["a misspelt secret", { kid: "k", secrte: SECRET }, /^unknown member of key "secrte"; did you mean "secret"\?/],
  ["an empty secret", { kid: "k", secret: "" }, /^secret of key "k" is empty;/],
  ["an empty array", { kid: "k", secret: new Uint8Array(0) }, /^secret of key "k" is empty;/],
  ["a short secret", { kid: "k", secret: "AAAA" }, /^secret of key "k" has 3 bytes; it must have 32 to 64$/],
  ["a secret of 31 bytes", { kid: "k", secret: new Uint8Array(31) }, /has 31 bytes/],
  ["a secret of 65 bytes", { kid: "k", secret: new Uint8Array(65) }, /has 65 bytes/],
  ["a public key of 31 bytes", { kid: "k", publicKey: new Uint8Array(31) }, /has 31 bytes; it must have 32$/],
  ["a padded secret", { kid: "k", secret: `${"A".repeat(43)}=` }, /^secret of key "k" is not base64url without padding/],
  ["a secret that is a number", { kid: "k", secret: 32 }, /^secret of key "k" is a number;/],
  // Each of these is 32 zeros to Uint8Array.from().
  ["a length in the secret's place", { kid: "k", secret: { length: 32 } }, /^secret of key "k" is an Object;/],
  ["words in the secret's place", { kid: "k", secret: Array(32).fill("x") }, /^secret of key "k" is an Array;/],
  ["wider numbers", { kid: "k", secret: new Uint16Array(32).fill(256) }, /^secret of key "k" is a Uint16Array;/],
]) {
  test(`the constructor refuses as key ${what}`, () => assert.throws(make({ key }), { name: "TypeError", message }));
}

test("errors about a key do not show its secret", () => {
  const secret = "bm90IGEgc2VjcmV0IGFueSBtb3Jl=";
  assert.throws(make({ key: { kid: "k", secret } }), ({ message }) => !message.includes(secret.slice(0, 8)));
});

test("the constructor refuses options that are no object", () => {
  for (const options of [null, "key", 7]) {
    assert.throws(() => new SealedWebSocket("ws://localhost", [], options), { name: "TypeError", message: /^the options are/ });
  }
});

test("inherited options count, and inherited unknown ones are refused", () => {
  const inheriting = (options) => Object.assign(Object.create(options), { WebSocket: Unreached });
  const unknown = inheriting({ key: keys.secret, kee: 1 });
  assert.throws(() => new SealedWebSocket("ws://localhost", [], unknown), /unknown option "kee"/);
  const missing = inheriting({ key: undefined, algorithm: "sha-256" });
  assert.throws(() => new SealedWebSocket("ws://localhost", [], missing), /^TypeError: key is undefined/);
});

test("the constructor refuses to go without a WebSocket", { skip: globalThis.WebSocket !== undefined }, () => {
  assert.throws(make({ key: keys.secret, WebSocket: undefined }), { name: "TypeError", message: /^no WebSocket here/ });
});

test("what cannot carry the messages is refused", () => {
  assert.throws(make({ key: keys.secret, WebSocket: null }), /^TypeError: WebSocket is null; it must be a class/);
  assert.throws(make({ key: keys.secret, webSocketOptions: "ca" }), /^TypeError: webSocketOptions is a string/);
});

test("options that the global WebSocket would drop are refused", () => {
  const native = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  Object.defineProperty(globalThis, "WebSocket", { value: Unreached, configurable: true, writable: true });
  try {
    const options = { key: keys.secret, webSocketOptions: { cert: "" } };
    assert.throws(() => new SealedWebSocket("wss://localhost", [], options), /^TypeError: the global WebSocket takes no webSocketOptions/);
  } finally {
    if (native === undefined) delete globalThis.WebSocket;
    else Object.defineProperty(globalThis, "WebSocket", native);
  }
});

for (const [what, sealing, agreed] of [
  ["a key alone", { key: keys.secret }, { algorithm: "hmac-sha-256", kid: keys.secret.kid, binding: "message" }],
  ["a key and hmac-sha-256", { key: keys.secret, algorithm: "hmac-sha-256" }, { algorithm: "hmac-sha-256", kid: keys.secret.kid, binding: "message" }],
  ["sha-256 by name", { algorithm: "sha-256" }, { algorithm: "sha-256", kid: null, binding: "message" }],
]) {
  test(`what is asked for is offered and agreed: ${what}`, async () => {
    const { socket, opened, closed } = new Conversation(peer.direct().url, sealing);
    await opened;
    assert.deepEqual(socket.integrity, agreed);
    socket.close();
    await closed;
  });
}
