/** A message that arrived is not what the peer sent, or the server did not agree to seal messages. */
export class IntegrityError extends Error {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = "IntegrityError";
  }
}

/** @param {"mismatch" | "missing"} finding */
export function refused(finding) {
  return new IntegrityError(`frame-integrity: ${finding}`);
}
