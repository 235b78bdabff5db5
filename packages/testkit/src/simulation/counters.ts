/** Counters in extended attributes, as xattrop adds to them: big-endian numbers of 32 bits. */

/** The sum of what is stored, if anything, and what is added; as long as the longer of them. */
export function addCounters(stored: Buffer | undefined, added: Buffer): Buffer {
  const sum = Buffer.alloc(Math.max(stored?.length ?? 0, added.length))
  stored?.copy(sum)
  for (let at = 0; at + 4 <= added.length; at += 4)
    sum.writeInt32BE((sum.readInt32BE(at) + added.readInt32BE(at)) | 0, at)
  return sum
}

export function isZero(bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0)
}
