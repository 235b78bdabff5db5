/**
 * KeyTable: strings that come again and again (keys of dicts), found by their bytes so that no new
 * string is made and hashed for each message. It learns the first keys it meets and then stays as
 * it is: a peer that sends ever new keys cannot make it grow.
 */

/** Slots; a key that meets a taken slot is simply not learnt. */
const SLOTS = 1024
const KEY_BYTES_MAX = 64

export class KeyTable {
  readonly #keys: (string | undefined)[] = Array.from({ length: SLOTS }, () => undefined)

  /** The string of these bytes; undefined when it cannot be in the table. */
  readonly find = (buffer: Buffer, start: number, length: number): string | undefined => {
    if (length > KEY_BYTES_MAX) return undefined
    let hash = length
    const end = start + length
    for (let at = start; at < end; at++) {
      const byte = buffer[at] as number
      if (byte > 0x7f) return undefined
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.#keys[slot]
    if (known === undefined) {
      const key = buffer.latin1Slice(start, end)
      this.#keys[slot] = key
      return key
    }
    if (known.length !== length) return undefined
    for (let i = 0; i < length; i++) {
      if (known.charCodeAt(i) !== buffer[start + i]) return undefined
    }
    return known
  }
}
