import { describe, expect, test } from 'vitest'
import { LAST_FRAGMENT, RecordAssembler, WireError, Writer } from './index.ts'

function record(body: Buffer, last = true): Buffer {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE(body.length + (last ? LAST_FRAGMENT : 0))
  return Buffer.concat([mark, body])
}

function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff
  return bytes
}

/** Feeds a stream in pieces of the given size, using the assembler's own memory when it offers it. */
function feed(stream: Buffer, piece: number, limit?: number): Buffer[] {
  const out: Buffer[] = []
  const assembler = new RecordAssembler((buffer, start, end) => {
    out.push(Buffer.from(buffer.subarray(start, end)))
  }, limit)
  const scratch = Buffer.alloc(piece)
  for (let at = 0; at < stream.length; ) {
    const target = assembler.target() ?? scratch
    const count = Math.min(target.length, piece, stream.length - at)
    stream.copy(target, 0, at, at + count)
    assembler.received(target, count)
    at += count
  }
  return out
}

describe('records out of a stream', () => {
  const bodies = [1, 4, 60, 4096, 70_000, 5_000_000].map(pattern)
  const stream = Buffer.concat(bodies.map(body => record(body)))

  test.each([7, 4095, 65_536, 1 << 20, stream.length])('in pieces of %i bytes', piece => {
    const out = feed(stream, piece)
    expect(out.length).toBe(bodies.length)
    out.forEach((body, i) => expect(body.equals(bodies[i] as Buffer)).toBe(true))
  })

  test('byte by byte', () => {
    const small = Buffer.concat([1, 4, 60].map(n => record(pattern(n))))
    expect(feed(small, 1).map(body => body.length)).toEqual([1, 4, 60])
  })

  test.each([1, 3, 1000, 1 << 20])('of several fragments, in pieces of %i', piece => {
    const body = pattern(9000)
    const parts = [
      record(body.subarray(0, 10), false),
      record(body.subarray(10, 5000), false),
      record(body.subarray(5000)),
      record(pattern(8)),
    ]
    const out = feed(Buffer.concat(parts), piece)
    expect(out.map(each => each.length)).toEqual([9000, 8])
    expect(out[0]?.equals(body)).toBe(true)
  })

  test('refuses a record beyond the limit, in one fragment or in many', () => {
    expect(() => feed(record(pattern(101)), 50, 100)).toThrow(WireError)
    const many = Buffer.concat(Array.from({ length: 11 }, () => record(pattern(10), false)))
    expect(() => feed(many, 1000, 100)).toThrow(WireError)
  })

  test('of very many fragments is not copied for each of them', () => {
    const piece = record(pattern(1000), false)
    const assembler = new RecordAssembler(() => {})
    const buffers = new Set<ArrayBufferLike>()
    const stream = Buffer.concat(Array.from({ length: 16 }, () => piece))
    for (let i = 0; i < 1000; i++) {
      assembler.received(stream, stream.length)
      // Within the next fragment: where it is to go.
      assembler.received(Buffer.from([0, 0, 0, 2, 0]), 5)
      const target = assembler.target()
      if (target !== undefined) buffers.add(target.buffer)
      assembler.received(Buffer.from([0]), 1)
    }
    expect(buffers.size).toBeLessThan(20)
  })

  test('refuses an empty record', () => {
    expect(() => feed(record(Buffer.alloc(0)), 50)).toThrow(WireError)
  })

  test('an announced length alone takes no memory', () => {
    const assembler = new RecordAssembler(() => {})
    const mark = Buffer.alloc(4)
    mark.writeUInt32BE(LAST_FRAGMENT + 100_000_000)
    assembler.received(mark, 4)
    expect(assembler.target()?.length).toBeLessThanOrEqual(4 * 1024 * 1024)
  })
})

describe('writer', () => {
  test('records and payloads come out in order, large payloads uncopied', () => {
    const writer = new Writer(64)
    const large = pattern(100_000)
    const small = pattern(100)
    for (const payload of [large, small, large]) {
      writer.beginRecord()
      writer.u32(7)
      writer.payload(payload)
      writer.endRecord()
    }
    const chunks = writer.take()
    expect(chunks.filter(chunk => chunk === large).length).toBe(2)
    const word = Buffer.from([0, 0, 0, 7])
    expect(feed(Buffer.concat(chunks), 4096).map(body => body.length)).toEqual([
      100_004, 104, 100_004,
    ])
    expect(feed(Buffer.concat(chunks), 4096)[1]?.equals(Buffer.concat([word, small]))).toBe(true)
    expect(writer.length).toBe(0)
  })

  test('an aborted record leaves nothing behind', () => {
    const writer = new Writer()
    writer.beginRecord()
    writer.u32(1)
    writer.endRecord()
    writer.beginRecord()
    writer.u32(2)
    writer.payload(pattern(10_000))
    writer.abortRecord()
    writer.beginRecord()
    writer.u32(3)
    writer.endRecord()
    expect(feed(writer.toBuffer(), 64).map(body => body.readUInt32BE())).toEqual([1, 3])
  })

  test('memory is used again after rewind', () => {
    const writer = new Writer()
    writer.u32(1)
    const first = writer.take()[0] as Buffer
    writer.rewind()
    writer.u32(2)
    const second = writer.take()[0] as Buffer
    expect(second.byteOffset).toBe(first.byteOffset)
  })
})
