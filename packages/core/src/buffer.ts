/**
 * Types for methods of Node's Buffer that its type package leaves out: the direct forms of
 * `toString(encoding, start, end)` and `write`, without the look-up of the encoding. The fop path
 * uses them on every string and gfid.
 */

declare global {
  interface Buffer {
    utf8Slice(start?: number, end?: number): string
    latin1Slice(start?: number, end?: number): string
    utf8Write(text: string, offset?: number, length?: number): number
    latin1Write(text: string, offset?: number, length?: number): number
  }
}

export {}
