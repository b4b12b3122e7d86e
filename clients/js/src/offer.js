// What the client offers, and the keys that the server's nonce then leads to.

import * as base64url from "./base64url.js";
import { IntegrityError } from "./errors.js";
import { TagSequence } from "./tags.js";

const PREFIX = "frame-integrity";
const NONCE_LENGTH = 32;
const encoder = new TextEncoder();

/** One client's offer for one connection. Its nonce is never used twice. */
export class Offer {
  algorithm;
  kid;
  #clientNonce;
  #ephemeralPublic;
  #keyingMaterial;

  /** @private use `makeOffer` */
  constructor(kid, clientNonce, ephemeralPublic, keyingMaterial) {
    this.algorithm = kid === null ? "sha-256" : "hmac-sha-256";
    this.kid = kid;
    this.#clientNonce = clientNonce;
    this.#ephemeralPublic = ephemeralPublic;
    this.#keyingMaterial = keyingMaterial;
  }

  /** The subprotocol name that carries the offer and one of the application's subprotocols. */
  name(subprotocol) {
    const nonce = base64url.encode(this.#clientNonce);
    const ephemeral = base64url.encode(this.#ephemeralPublic);
    return [PREFIX, this.algorithm, this.kid ?? "", nonce, ephemeral, subprotocol].join("~");
  }

  /**
   * The tags of both directions.
   * @param {string | null} greeting the server's first message; `null` for `sha-256`
   * @throws {IntegrityError} if the greeting is none
   */
  async tags(greeting) {
    if (this.kid === null) return { sending: new TagSequence(null), receiving: new TagSequence(null) };
    const nonce = greeting?.startsWith(`${PREFIX}~`) && base64url.decode(greeting.slice(PREFIX.length + 1));
    if (!nonce || nonce.length !== NONCE_LENGTH) {
      throw new IntegrityError("frame-integrity: the server's first message is not its nonce");
    }
    const salt = Uint8Array.of(...this.#clientNonce, ...nonce);
    return {
      sending: new TagSequence(await this.#trafficKey(salt, "c2s")),
      receiving: new TagSequence(await this.#trafficKey(salt, "s2c")),
    };
  }

  async #trafficKey(salt, direction) {
    const info = Uint8Array.of(
      ...encoder.encode(`frame-integrity v1\0hmac-sha-256\0${this.kid}\0`),
      ...this.#ephemeralPublic,
      ...encoder.encode(`\0${direction}`),
    );
    const hkdf = { name: "HKDF", hash: "SHA-256", salt, info };
    const key = await crypto.subtle.importKey("raw", this.#keyingMaterial, "HKDF", false, ["deriveKey"]);
    const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };
    return crypto.subtle.deriveKey(hkdf, key, hmac, false, ["sign", "verify"]);
  }
}

/**
 * @param {ReturnType<typeof import("./keys.js").checkedKey> | null} key `null` for `sha-256`
 * @param {{clientNonce?: Uint8Array, ephemeral?: CryptoKeyPair}} [drawn] drawn at random if not given
 */
export async function makeOffer(key, drawn = {}) {
  const none = new Uint8Array(0);
  if (key === null) return new Offer(null, none, none, none);
  const nonce = drawn.clientNonce ?? crypto.getRandomValues(new Uint8Array(NONCE_LENGTH));
  if (key.secret !== undefined) return new Offer(key.kid, nonce, none, key.secret);
  const { privateKey, publicKey } = drawn.ephemeral ?? (await ephemeralKeys());
  const ephemeralPublic = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
  return new Offer(key.kid, nonce, ephemeralPublic, await agree(privateKey, key));
}

async function ephemeralKeys() {
  try {
    return await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
  } catch (cause) {
    throw new Error(
      "a publicKey needs X25519 in WebCrypto (Node 20, Chromium 133, Firefox 130, Safari 17, or later)",
      { cause },
    );
  }
}

async function agree(privateKey, key) {
  const lowOrder = () => new TypeError(`publicKey of key "${key.kid}" is of low order; it cannot be used`);
  const theirs = await crypto.subtle.importKey("raw", key.publicKey, { name: "X25519" }, false, []);
  let shared;
  try {
    shared = await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, privateKey, 256);
  } catch {
    throw lowOrder(); // RFC 7748 section 6.1: an all-zero result is refused
  }
  const octets = new Uint8Array(shared);
  if (octets.every((octet) => octet === 0)) throw lowOrder();
  return octets;
}
