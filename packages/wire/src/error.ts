/** The one error of this package. */

/**
 * Bytes that are not what the protocol says: truncated, too long, an unknown variant. Thrown by
 * every decoder for every bad input; also by encoders for values that have no form on the wire.
 */
export class WireError extends Error {
  override name = 'WireError'
}
