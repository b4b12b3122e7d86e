// Base64url without padding (RFC 4648 section 5), in its one canonical form.

/** @param {Uint8Array} octets */
export function encode(octets) {
  let binary = "";
  for (const octet of octets) binary += String.fromCharCode(octet);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * The octets, or `null` for anything that `encode` would not have written.
 * @param {string} text
 */
export function decode(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const octets = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return encode(octets) === text ? octets : null;
}
