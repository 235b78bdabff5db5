/**
 * File names between bytes and strings, without loss.
 *
 * A Linux name is bytes; ours are JavaScript strings. Bytes that are not UTF-8 become lone low
 * surrogates U+DC80–U+DCFF (as Python's surrogateescape does), which no valid UTF-8 decodes to,
 * so decoding and encoding again always gives the same bytes.
 */

import './buffer.ts'
const REPLACEMENT = '\ufffd'
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The name held in `bytes[start, end)`. */
export function decodeName(bytes: Buffer, start = 0, end = bytes.length): string {
  const text = bytes.utf8Slice(start, end)
  if (!text.includes(REPLACEMENT)) return text
  return decodeEscaped(bytes.subarray(start, end))
}

/** Bytes of a name; the inverse of `decodeName`. */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8')
  return encodeEscaped(name)
}

/** Length of a name in bytes, as NAME_MAX and the wire count it. */
export function nameByteLength(name: string): number {
  return name.isWellFormed() ? Buffer.byteLength(name, 'utf8') : encodeEscaped(name).length
}

function decodeEscaped(bytes: Buffer): string {
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at)
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] as number))
      at += 1
    } else {
      text += bytes.utf8Slice(at, at + length)
      at += length
    }
  }
  return text
}

/** Bytes of the valid UTF-8 sequence at `at`, or 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] as number
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  if (length <= 1) return length
  if (at + length > bytes.length) return 0
  try {
    strict.decode(bytes.subarray(at, at + length))
    return length
  } catch {
    return 0
  }
}

function encodeEscaped(name: string): Buffer {
  const parts: Buffer[] = []
  let plain = ''
  for (const character of name) {
    const code = character.codePointAt(0) as number
    if (code >= 0xdc80 && code <= 0xdcff) {
      parts.push(Buffer.from(plain, 'utf8'), Buffer.from([code - 0xdc00]))
      plain = ''
    } else {
      plain += character
    }
  }
  parts.push(Buffer.from(plain, 'utf8'))
  return Buffer.concat(parts)
}
