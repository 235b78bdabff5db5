/**
 * Directory offsets (d_off) of a volume: the brick's own cookie with the position of the brick's
 * leaf in the graph folded in. protocol/client encodes; cluster translators decode to know where a
 * listing goes on. Bit for bit GlusterFS's (libglusterfs/src/gf-dirent.c).
 */

const OFFSET_MASK = (1n << 64n) - 1n
/** Bit 62 marks a cookie too large to be multiplied: shifted, its low bits replaced. */
const HUGE_MARK = 1n << 62n

/** Bits that hold a leaf's position: the smallest b with 2^b ≥ leaves. */
function leafBits(leaves: number): bigint {
  return BigInt(Math.ceil(Math.log2(leaves)))
}

/** The volume's offset for a brick's `cookie`. 0 and 2^64−1 stay what they are. */
export function encodeDirectoryOffset(cookie: bigint, leaf: number, leaves: number): bigint {
  if (leaves === 1 || cookie === 0n || cookie === OFFSET_MASK) return cookie
  const bits = leafBits(leaves)
  const id = BigInt(leaf)
  if (cookie >> (62n - bits) !== 0n) {
    return HUGE_MARK | ((cookie >> 1n) & ~((1n << bits) - 1n) & OFFSET_MASK) | id
  }
  return cookie * BigInt(leaves) + id
}

/** The leaf an offset belongs to and the brick's cookie (without the low bits a huge one lost). */
export function decodeDirectoryOffset(
  offset: bigint,
  leaves: number,
): { leaf: number; cookie: bigint } {
  if (leaves === 1 || offset === 0n) return { leaf: 0, cookie: offset }
  const bits = leafBits(leaves)
  if ((offset & HUGE_MARK) !== 0n) {
    const low = (1n << bits) - 1n
    return {
      leaf: Number(offset & low),
      cookie: ((offset & ~HUGE_MARK & ~low) << 1n) & OFFSET_MASK,
    }
  }
  return { leaf: Number(offset % BigInt(leaves)), cookie: offset / BigInt(leaves) }
}
