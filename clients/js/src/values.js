// What callers pass, in the words of errors.

/** What a value is, without the value itself: it may be a secret. */
export function kindOf(value) {
  if (value === undefined || value === null) return String(value);
  const kind = typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
  return `${/^[aeio]/i.test(kind) ? "an" : "a"} ${kind}`;
}

/**
 * Refuses an object with a property, inherited ones included, that nobody would read.
 * @throws {TypeError}
 */
export function refuseUnknown(what, object, known) {
  for (const name in object) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    throw new TypeError(`unknown ${what} "${name}"${hint} (known: ${known.join(", ")})`);
  }
}

/** The known name that is a slip or two away. */
function nearest(name, known) {
  const distances = known.map((other) => distance(name.toLowerCase(), other.toLowerCase()));
  const least = Math.min(...distances);
  return least <= Math.max(1, Math.ceil(name.length / 3)) ? known[distances.indexOf(least)] : undefined;
}

/** How many letters must be put in, taken out or changed to make one of the other (Levenshtein). */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= other.length; j++) {
      const changed = above[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1);
      row.push(Math.min(changed, above[j] + 1, row[j - 1] + 1));
    }
  }
  return row[other.length];
}
