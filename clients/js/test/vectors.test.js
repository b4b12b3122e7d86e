import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import * as base64url from "../src/base64url.js";
import { makeOffer } from "../src/offer.js";
import { openBinary, openReason, openText, sealBinary, sealReason, sealText } from "../src/seal.js";
import { TagSequence } from "../src/tags.js";
import { hex, keys, octets, vectors } from "./vectors.js";

const decoder = new TextDecoder();
const schedules = new Map(vectors.schedules.map((row) => [row.name, row]));
const messageRows = vectors.units.filter(({ binding }) => binding === "message");

async function tagsOf({ schedule, direction }) {
  if (schedule === null) return new TagSequence(null);
  const key = octets(schedules.get(schedule)[`k_${direction}`]);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  return new TagSequence(await crypto.subtle.importKey("raw", key, hmac, false, ["sign", "verify"]));
}

async function offerOf(schedule) {
  if (!schedule) return makeOffer(null);
  const clientNonce = octets(schedule.cn);
  if (schedule.epk === undefined) return makeOffer(keys.secret, { clientNonce });
  const jwk = {
    kty: "OKP",
    crv: "X25519",
    x: base64url.encode(octets(schedule.epk)),
    d: base64url.encode(octets(schedule.client_private)),
  };
  const { d, ...publicJwk } = jwk;
  const ephemeral = {
    privateKey: await crypto.subtle.importKey("jwk", jwk, { name: "X25519" }, false, ["deriveBits"]),
    publicKey: await crypto.subtle.importKey("jwk", publicJwk, { name: "X25519" }, true, []),
  };
  return makeOffer(keys.x25519, { clientNonce, ephemeral });
}

for (const schedule of vectors.schedules) {
  // A script cannot see the TLS exporter, so `cb` is never offered.
  test(`offer leads to the traffic keys of the vectors: ${schedule.name}`, { skip: "exporter" in schedule }, async () => {
    const offer = await offerOf(schedule);
    const { sending, receiving } = await offer.tags(`frame-integrity~${base64url.encode(octets(schedule.sn))}`);
    const data = octets("00ff");
    const sent = await tagsOf({ schedule: schedule.name, direction: "c2s" });
    const received = await tagsOf({ schedule: schedule.name, direction: "s2c" });
    assert.equal(hex(await sending.tag(2, data)), hex(await sent.tag(2, data)));
    await receiving.verify(2, data, await received.tag(2, data));
  });
}

for (const row of messageRows) {
  const title = `${row.alg} ${row.schedule} ${row.direction}: ${row.title}`;

  test(`messages are sealed as in the vectors: ${title}`, async () => {
    const tags = await tagsOf(row);
    for (const { b0, data, payload } of row.messages) {
      assert.equal(await sealedHex(tags, b0, octets(data)), payload);
    }
  });

  test(`messages of the vectors are opened: ${title}`, async () => {
    const tags = await tagsOf(row);
    for (const { b0, data, payload } of row.messages) {
      assert.equal(hex(await opened(tags, b0, octets(payload))), data);
    }
  });

  test(`every prefix and every changed octet is refused: ${title}`, async () => {
    for (const { b0, payload } of row.messages.slice(0, 1)) {
      const whole = octets(payload);
      for (let length = 0; length < whole.length; length++) {
        await assert.rejects(opened(await tagsOf(row), b0, whole.slice(0, length)), /mismatch|missing/);
        const changed = whole.slice();
        changed[length] ^= 1;
        await assert.rejects(opened(await tagsOf(row), b0, changed), /mismatch/);
      }
    }
  });
}

async function sealedHex(tags, b0, data) {
  if (b0 === "81") return hex(Buffer.from(await sealText(tags, data)));
  if (b0 === "82") return hex(await sealBinary(tags, data));
  const code = (data[0] << 8) | data[1];
  return hex(data.slice(0, 2)) + hex(Buffer.from(await sealReason(tags, code, decoder.decode(data.slice(2)))));
}

async function opened(tags, b0, payload) {
  if (b0 === "81") return Buffer.from(await openText(tags, decoder.decode(payload)));
  if (b0 === "82") return openBinary(tags, payload);
  const code = (payload[0] << 8) | payload[1];
  const reason = await openReason(tags, code, decoder.decode(payload.slice(2)));
  return Buffer.concat([payload.slice(0, 2), Buffer.from(reason)]);
}

test("the tag of a message is that of an unfragmented frame with the same data", async () => {
  // Both bindings make the same tag for a whole text or binary unit: these rows are checked here too.
  const rows = vectors.units.filter(({ binding }) => binding === "frame");
  let checked = 0;
  for (const row of rows) {
    for (const [index, unit] of row.frames.entries()) {
      if (index > 0 || !["81", "82", "88"].includes(unit.b0)) continue;
      const data = "data" in unit ? octets(unit.data) : Uint8Array.from({ length: unit.data_len }, (_, i) => (i * 31) % 251);
      if ("data_sha256" in unit) assert.equal(createHash("sha256").update(data).digest("hex"), unit.data_sha256);
      assert.equal(hex(await (await tagsOf(row)).tag(Number.parseInt(unit.b0, 16) & 0x0f, data)), unit.tag);
      checked++;
    }
  }
  assert.ok(checked > 20);
});

for (const row of vectors.handshakes.filter(({ binding }) => binding === "message")) {
  test(`offers are those of the vectors: ${row.answer}`, async () => {
    const offer = await offerOf(schedules.get(row.schedule));
    const subprotocols = row.backend_is_offered?.split(", ") ?? [""];
    const names = subprotocols.map((subprotocol) => offer.name(subprotocol));
    assert.equal(names.join(", "), row.offer);
    assert.ok(names.includes(row.answer));
    if (row.schedule === null) return;
    const { sending } = await offer.tags(row.first_message);
    const expected = await tagsOf({ schedule: row.schedule, direction: "c2s" });
    assert.equal(hex(await sending.tag(1, octets("78"))), hex(await expected.tag(1, octets("78"))));
  });
}

test("a public key of low order is refused", async () => {
  const key = { kid: "k", publicKey: new Uint8Array(32) };
  await assert.rejects(makeOffer(key), /low order/);
});

for (const text of ["A", "AB", "AAB", "AA==", "+/", "A A"]) {
  test(`base64url that is not canonical is refused: ${text}`, () => assert.equal(base64url.decode(text), null));
}
