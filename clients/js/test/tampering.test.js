// A man in the middle changes the traffic: what is noticed, by whom, and what the application is told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { IntegrityError } from "tidegate-client";
import { Conversation } from "./conversation.js";
import { startPeer } from "./peer.js";
import { keys, sealings } from "./vectors.js";

const MESSAGES = ["pay Alice 1", new TextEncoder().encode("pay Bob 2"), "pay Carol 3"];
const DELIBERATE = [
  ...["flip", "flip-tag", "replay", "drop", "reorder", "inject", "inject-untagged"],
  ...["retype", "lose-octet", "truncate", "forge-close"],
];
const ACCIDENTAL = ["flip", "flip-tag", "lose-octet", "inject-untagged"];
const UNTAGGED = ["inject-untagged", "forge-close"];

let peer;
before(async () => (peer = await startPeer()));
after(() => peer.stop());

/** Sends three messages through the man in the middle, awaits so many echoes, and closes. */
async function talk(tampering, direction, kind, { at = 1, echoes = MESSAGES.length } = {}) {
  const { url, ending } = peer.tampered(tampering, direction, at);
  const conversation = new Conversation(url, sealings[kind]);
  await conversation.opened;
  for (const message of MESSAGES) conversation.socket.send(message);
  await conversation.received(echoes);
  conversation.socket.close();
  const closed = await conversation.closed;
  return { received: conversation.messages, errors: conversation.errors, closed, ending: await ending };
}

const received = (messages) =>
  messages.map((message) => (typeof message === "string" ? ["text", message] : ["binary", Buffer.from(message).toString("hex")]));

for (const kind of ["secret", "x25519"]) {
  for (const tampering of DELIBERATE) {
    test(`client notices by hmac (${kind}): ${tampering}`, async () => {
      const outcome = await talk(tampering, "s2c", kind);
      assert.deepEqual(outcome.received, MESSAGES.slice(0, outcome.received.length));
      assert.ok(outcome.received.length < MESSAGES.length);
      assert.equal(outcome.closed.wasClean, false);
      assert.equal(outcome.errors.length, 1);
      assert.ok(outcome.errors[0] instanceof IntegrityError);
      if (tampering === "truncate") {
        assert.equal(outcome.closed.code, 1006);
        return;
      }
      const reason = `frame-integrity: ${UNTAGGED.includes(tampering) ? "missing" : "mismatch"}`;
      assert.deepEqual([outcome.closed.code, outcome.closed.reason], [1008, reason]);
      // A forged Close has ended the connection before the script hears of it.
      if (tampering !== "forge-close") assert.equal(outcome.ending.ending, `closed 1008 ${reason}`);
    });

    test(`peer notices by hmac (${kind}): ${tampering}`, async () => {
      const outcome = await talk(tampering, "c2s", kind);
      assert.match(outcome.ending.ending, /^(mismatch|missing|cut)$/);
      assert.deepEqual(outcome.ending.received, received(MESSAGES).slice(0, outcome.ending.received.length));
      assert.ok(outcome.ending.received.length < MESSAGES.length);
      if (tampering === "truncate") {
        assert.deepEqual([outcome.closed.code, outcome.closed.wasClean], [1006, false]);
      } else {
        const reason = `frame-integrity: ${outcome.ending.ending}`;
        assert.deepEqual([outcome.closed.code, outcome.closed.reason], [1008, reason]);
      }
    });
  }
}

for (const tampering of ["flip-close", "drop-close"]) {
  test(`client notices a Close: ${tampering}`, async () => {
    const { closed, errors } = await talk(tampering, "s2c", "secret");
    assert.deepEqual([closed.code, closed.wasClean], [tampering === "flip-close" ? 1008 : 1006, false]);
    assert.ok(errors[0] instanceof IntegrityError);
  });

  test(`peer notices a Close: ${tampering}`, async () => {
    assert.match((await talk(tampering, "c2s", "secret")).ending.ending, /^(mismatch|cut)$/);
  });
}

test("client notices at the Close that the last message is lost", async () => {
  const { closed, received } = await talk("drop", "s2c", "secret", { at: 3, echoes: 2 });
  assert.deepEqual(received, MESSAGES.slice(0, 2));
  assert.deepEqual([closed.code, closed.wasClean], [1008, false]);
});

test("peer notices at the Close that the last message is lost", async () => {
  const { ending, closed } = await talk("drop", "c2s", "secret", { at: 2, echoes: 2 });
  assert.equal(ending.ending, "mismatch");
  assert.equal(closed.code, 1008);
});

test("a changed server nonce opens nothing", async () => {
  const { received, ending } = await talk("own-nonce", "s2c", "secret", { at: 0 });
  assert.deepEqual([received, ending.received], [[], []]);
});

for (const direction of ["c2s", "s2c"]) {
  for (const tampering of ACCIDENTAL) {
    test(`accident is noticed by sha-256 (${direction}): ${tampering}`, async () => {
      const { closed } = await talk(tampering, direction, "none");
      assert.equal(closed.code, 1008);
    });
  }

  test(`new fragment borders change nothing (${direction})`, async () => {
    assert.deepEqual((await talk("refragment", direction, "secret")).received, MESSAGES);
  });
}

test("replay is not noticed by sha-256", async () => {
  // As documented: an unkeyed hash numbers nothing.
  const { received } = await talk("replay", "s2c", "none", { echoes: 4 });
  assert.deepEqual(received, [MESSAGES[0], MESSAGES[1], MESSAGES[1], MESSAGES[2]]);
});
