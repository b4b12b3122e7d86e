// The tags of one direction, in order.

import { refused } from "./errors.js";

export const TAG_LENGTH = 32;
const SEQUENCE_LENGTH = 8;

/** Makes and checks the tags of the messages sent in one direction. Calls must not overlap. */
export class TagSequence {
  #key;
  #count = 0n;

  /**
   * @param {CryptoKey | null} key the direction's traffic key, or `null` for `sha-256`, which numbers
   *   nothing and so notices neither replay nor loss
   */
  constructor(key) {
    this.#key = key;
  }

  /** The next message's tag.
   * @param {number} opcode
   * @param {Uint8Array} data
   */
  async tag(opcode, data) {
    const made =
      this.#key === null
        ? await crypto.subtle.digest("SHA-256", data)
        : await crypto.subtle.sign("HMAC", this.#key, this.#tagged(opcode, data));
    return new Uint8Array(made);
  }

  /** Checks the next message's tag in constant time.
   * @param {number} opcode
   * @param {Uint8Array} data
   * @param {Uint8Array} tag
   * @throws {IntegrityError} if it does not match
   */
  async verify(opcode, data, tag) {
    const matches =
      this.#key === null
        ? equal(new Uint8Array(await crypto.subtle.digest("SHA-256", data)), tag)
        : await crypto.subtle.verify("HMAC", this.#key, tag, this.#tagged(opcode, data));
    if (!matches) throw refused("mismatch");
  }

  #tagged(opcode, data) {
    const octets = new Uint8Array(SEQUENCE_LENGTH + 1 + data.length);
    new DataView(octets.buffer).setBigUint64(0, this.#count++);
    octets[SEQUENCE_LENGTH] = 0x80 | opcode;
    octets.set(data, SEQUENCE_LENGTH + 1);
    return octets;
  }
}

function equal(one, other) {
  if (one.length !== other.length) return false;
  return one.reduce((difference, octet, index) => difference | (octet ^ other[index]), 0) === 0;
}
