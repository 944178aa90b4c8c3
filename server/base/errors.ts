/**
 * Who erred decides the class. The peer: `ProtocolError`. The world (process died, disk full): `WorldError`. The caller:
 * `TypeError`. We: `AssertionFault`. Codes are stable strings that users may search for; each folder lists its own in its README.
 */

/** An error with a stable code and a sentence that says what was expected or what went wrong. */
class CodedError extends Error {
  readonly code: string;
  readonly detail: string;

  constructor(code: string, detail: string, cause?: unknown) {
    super(`${code}: ${detail}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** The peer sent bytes or messages that its protocol forbids, or more than a stated cap. The session's owner closes and reports once. */
export class ProtocolError extends CodedError {
  override name = 'ProtocolError';
}

/** Something outside failed. Exactly one owner retries it. */
export class WorldError extends CodedError {
  override name = 'WorldError';
}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
