/** An impossible state: our own mistake. Ends the session or broadcast that met it, never the process. */
export class AssertionFault extends Error {
  override name = 'AssertionFault';
}

/** Throws `AssertionFault` unless `condition` holds, and narrows the type. For our mistakes only, never for a peer's. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new AssertionFault(message);
  }
}

/** The exhaustive `default:` of a switch over a union. */
export const unreachable = (value: never): never => {
  throw new AssertionFault(`unreachable value ${String(value)}`);
};
