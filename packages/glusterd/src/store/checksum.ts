/**
 * The checksum of a volume's definition, which servers of a pool compare
 * (`get_checksum_for_file`, libglusterfs/src/common-utils.c).
 */

const BLOCK_BYTES = 1024
/** Stands in for an accumulator that is all zeros before a block. */
const SEED = [0xba, 0xbe, 0xb0, 0x0b] as const

/** Checksum of the text of an `info` file: its lines are taken in byte order. */
export function infoChecksum(text: string): number {
  const lines = text
    .split('\n')
    .filter(line => line !== '')
    .map(line => Buffer.from(`${line}\n`))
  lines.sort((a, b) => Buffer.compare(a, b))
  return blockChecksum(Buffer.concat(lines))
}

function blockChecksum(bytes: Buffer): number {
  const sum: number[] = [0, 0, 0, 0]
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) {
    const block = bytes.subarray(start, start + BLOCK_BYTES)
    const size = block.length
    if (!sum.some(byte => byte !== 0)) sum.splice(0, 4, ...SEED)
    const fold = (lane: number, at: number): void => {
      // The block's last partial word may begin before it when the block is tiny.
      const byte = at >= 0 && at < size ? block.readInt8(at) : 0
      sum[lane] = (sum[lane] as number) ^ ((byte << lane) & 0xff)
    }
    for (let at = 0; at < size - 4; at += 4) {
      for (let lane = 0; lane < 4; lane++) fold(lane, at + lane)
    }
    for (let rest = 0; rest <= size % 4; rest++) fold(rest, size - 4 + rest)
  }
  return Buffer.from(sum).readUInt32LE(0)
}
