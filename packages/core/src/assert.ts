/**
 * Assertions about our own invariants, always on.
 *
 * An assertion that fails is a bug of ours and ends the process; what the world does wrong
 * (a bad packet, a full disk) is a value or an error, never an assertion.
 */

export class AssertionError extends Error {
  override name = 'AssertionError'
}

/** Throws when `condition` is false: only for what cannot happen unless our code is wrong. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Marks the branch of a `switch` that the types say is never taken. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
