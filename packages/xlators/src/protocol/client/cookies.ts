/**
 * Directory cookies: each leaf of a client's graph folds its position into the offsets of its
 * brick, so that whoever lists several bricks can tell whose an offset is. Arithmetic as GlusterFS
 * has it (libglusterfs/src/gf-dirent.c, `gf_itransform`).
 */

const MAX = 0xffff_ffff_ffff_ffffn
const HUGE = 1n << 62n
/** Below this, numbers are exact and cheaper than big integers. */
const SMALL = 1n << 44n

export class Cookies {
  readonly #leaves: bigint
  readonly #leavesNumber: number
  readonly #id: bigint
  readonly #idNumber: number
  /** Low bits that the position takes in a huge cookie. */
  readonly #low: bigint
  readonly #huge: bigint

  constructor(leaves: number, position: number) {
    this.#leaves = BigInt(leaves)
    this.#leavesNumber = leaves
    this.#id = BigInt(position)
    this.#idNumber = position
    const bits = BigInt(Math.ceil(Math.log2(Math.max(leaves, 1))))
    this.#low = (1n << bits) - 1n
    this.#huge = MAX ^ ((1n << (62n - bits)) - 1n)
  }

  /** The offset as the graph sees it. */
  encode(offset: bigint): bigint {
    if (this.#leavesNumber === 1 || offset === 0n || offset === MAX) return offset
    if (offset < SMALL) {
      return BigInt(Number(offset) * this.#leavesNumber + this.#idNumber)
    }
    if ((offset & this.#huge) !== 0n) return HUGE | ((offset >> 1n) & ~this.#low) | this.#id
    return offset * this.#leaves + this.#id
  }

  /** The brick's own offset again (of a huge one, its high bits). */
  decode(cookie: bigint): bigint {
    if (this.#leavesNumber === 1 || cookie === 0n || cookie === MAX) return cookie
    if ((cookie & HUGE) !== 0n) return ((cookie & ~HUGE & ~this.#low) << 1n) & MAX
    return cookie / this.#leaves
  }
}
