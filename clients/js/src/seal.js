// Where the tag stands in each kind of message.

import * as base64url from "./base64url.js";
import { refused } from "./errors.js";
import { TAG_LENGTH } from "./tags.js";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const TEXT_TAG_LENGTH = 43; // 32 octets in base64url

/** Octets that a Close reason may have: 125 without code and tag. */
export const REASON_LIMIT = 80;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** @param {import("./tags.js").TagSequence} tags @param {Uint8Array} data UTF-8 */
export async function sealText(tags, data) {
  return decoder.decode(data) + base64url.encode(await tags.tag(TEXT, data));
}

/** @param {import("./tags.js").TagSequence} tags @param {Uint8Array} data */
export async function sealBinary(tags, data) {
  return joined(data, await tags.tag(BINARY, data));
}

/** The sealed reason.
 * @param {import("./tags.js").TagSequence} tags @param {number} code @param {string} reason
 */
export async function sealReason(tags, code, reason) {
  return reason + base64url.encode(await tags.tag(CLOSE, closeData(code, encoder.encode(reason))));
}

/** The text without its tag. @throws {IntegrityError} */
export async function openText(tags, text) {
  const [data, tag] = splitText(text);
  await tags.verify(TEXT, data, tag);
  return text.slice(0, -TEXT_TAG_LENGTH);
}

/** The data without its tag. @throws {IntegrityError} */
export async function openBinary(tags, octets) {
  if (octets.length < TAG_LENGTH) throw refused("missing");
  const border = octets.length - TAG_LENGTH;
  const data = octets.slice(0, border);
  await tags.verify(BINARY, data, octets.subarray(border));
  return data;
}

/** The reason without its tag. @throws {IntegrityError} */
export async function openReason(tags, code, reason) {
  const [data, tag] = splitText(reason);
  await tags.verify(CLOSE, closeData(code, data), tag);
  return reason.slice(0, -TEXT_TAG_LENGTH);
}

function splitText(text) {
  const octets = encoder.encode(text);
  if (octets.length < TEXT_TAG_LENGTH) throw refused("missing");
  const border = octets.length - TEXT_TAG_LENGTH;
  const tag = base64url.decode(decoder.decode(octets.subarray(border)));
  if (tag === null) throw refused("mismatch");
  return [octets.subarray(0, border), tag];
}

function closeData(code, reason) {
  return joined(new Uint8Array([code >> 8, code & 0xff]), reason);
}

function joined(first, second) {
  const octets = new Uint8Array(first.length + second.length);
  octets.set(first);
  octets.set(second, first.length);
  return octets;
}
