// The keys that a client holds.

import * as base64url from "./base64url.js";
import { kindOf, refuseUnknown } from "./values.js";

const KEY_ID = /^[A-Za-z0-9._-]{1,64}$/;
const LENGTHS = { secret: [32, 64], publicKey: [32, 32] };
const KEY_ID_RULE = "1 to 64 characters of A-Z a-z 0-9 . _ -";

/**
 * The key as given, checked, with its bytes copied.
 * @param {import("../index.js").SharedKey | import("../index.js").PublicKey} key
 * @throws {TypeError} if it is malformed
 */
export function checkedKey(key) {
  if (key === null || typeof key !== "object") {
    throw new TypeError(`key is ${kindOf(key)}; it must be { kid, secret } or { kid, publicKey }`);
  }
  refuseUnknown("member of key", key, ["kid", "secret", "publicKey"]);
  const kid = checkedKeyId(key.kid);
  const what = materialOf(kid, key);
  return { kid, [what]: checkedBytes(kid, what, key[what]) };
}

/** Which of the two the key has. */
function materialOf(kid, key) {
  const kinds = Object.keys(LENGTHS);
  const given = kinds.filter((what) => key[what] !== undefined);
  if (given.length > 1) throw new TypeError(`key "${kid}" must have either a secret or a publicKey, not both`);
  const meant = given[0] ?? kinds.find((what) => what in key);
  if (meant === undefined) throw new TypeError(`key "${kid}" has neither a secret nor a publicKey; give one of them`);
  return meant;
}

function checkedKeyId(kid) {
  if (kid === undefined || kid === null) {
    throw new TypeError(`key id is missing: kid is ${kid}; it must be ${KEY_ID_RULE}`);
  }
  if (typeof kid !== "string") throw new TypeError(`key id is ${kindOf(kid)}; it must be a string of ${KEY_ID_RULE}`);
  if (!KEY_ID.test(kid)) throw new TypeError(`key id "${kid}" is not ${KEY_ID_RULE}`);
  return kid;
}

function checkedBytes(kid, what, value) {
  const [shortest, longest] = LENGTHS[what];
  const wanted = shortest === longest ? shortest : `${shortest} to ${longest}`;
  const name = `${what} of key "${kid}"`;
  const give = `give ${wanted} bytes as a Uint8Array, or the same in base64url`;
  if (value === undefined || value === null) throw new TypeError(`${name} is missing: it is ${value}; ${give}`);
  if (typeof value !== "string" && Object.prototype.toString.call(value) !== "[object Uint8Array]") {
    // What else Uint8Array.from() takes may become zeros: a secret that everybody knows.
    throw new TypeError(`${name} is ${kindOf(value)}; ${give}`);
  }
  if (value.length === 0) throw new TypeError(`${name} is empty; ${give}`);
  const bytes = typeof value === "string" ? base64url.decode(value) : Uint8Array.from(value);
  if (bytes === null) throw new TypeError(`${name} is not base64url without padding (RFC 4648 section 5)`);
  if (bytes.length < shortest || bytes.length > longest) {
    throw new TypeError(`${name} has ${bytes.length} bytes; it must have ${wanted}`);
  }
  return bytes;
}
