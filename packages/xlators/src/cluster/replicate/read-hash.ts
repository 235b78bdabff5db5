/**
 * The hash that spreads reads over copies, so that every client reads a file from the same brick and
 * its cache. Paul Hsieh's mixing of 16-bit words, seeded with the length; the root's gfid gives
 * fe513317, as GlusterFS's clients have it (libglusterfs/src/hashfn.c).
 */

/** Hash of `bytes`, whose length is a multiple of four; in [0, 2^32). */
export function superFastHash(bytes: Buffer): number {
  let hash = bytes.length
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    hash = (hash + bytes.readUInt16LE(at)) | 0
    const mixed = (bytes.readUInt16LE(at + 2) << 11) ^ hash
    hash = (hash << 16) ^ mixed
    hash = (hash + (hash >>> 11)) | 0
  }
  hash ^= hash << 3
  hash = (hash + (hash >>> 5)) | 0
  hash ^= hash << 4
  hash = (hash + (hash >>> 17)) | 0
  hash ^= hash << 25
  hash = (hash + (hash >>> 6)) | 0
  return hash >>> 0
}
