/** What callers give as data, as bytes; and bytes as what they want to have. */

import { Buffer } from 'node:buffer'

/** Data to write. */
export type Data = string | NodeJS.ArrayBufferView

/** Data for a whole file: also from anything that yields pieces. */
export type WholeData = Data | Iterable<Data> | AsyncIterable<Data>

/** The bytes of `data`, not copied when they are bytes already. */
export function toBytes(data: Data, encoding: BufferEncoding = 'utf8'): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, encoding)
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  throw new TypeError('data must be a string, a Buffer, a TypedArray or a DataView')
}

/** True for data that is all there. */
export function isData(data: WholeData): data is Data {
  return typeof data === 'string' || ArrayBuffer.isView(data)
}

/**
 * How a whole file is read or written: an encoding, or options. The signal ends the work with
 * AbortError; what is written until then stays.
 */
export type EncodingOption =
  | BufferEncoding
  | null
  | undefined
  | { readonly encoding?: BufferEncoding | null; readonly signal?: AbortSignal | undefined }

export function signalOf(option: EncodingOption): AbortSignal | undefined {
  return typeof option === 'object' ? option?.signal : undefined
}

export function encodingOf(option: EncodingOption): BufferEncoding | undefined {
  const encoding = typeof option === 'string' ? option : option?.encoding
  return encoding ?? undefined
}
