/**
 * Every recorded record of a real GlusterFS 10.3 decodes, and encodes back to the same bytes.
 */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  type AnyProcedure,
  callbackProgram,
  cliProgram,
  decodeCall,
  decodeMessageStart,
  decodeReply,
  dumpProgram,
  encodeCallHead,
  encodeReply,
  fopProgram,
  handshakeProgram,
  MessageType,
  portmapProgram,
  type Program,
  Reader,
  WireError,
  Writer,
} from './index.ts'

type Line = [
  program: number,
  version: number,
  procedure: number,
  type: 'call' | 'reply',
  hex: string,
]

const PROGRAMS: readonly Program[] = [
  fopProgram,
  handshakeProgram,
  portmapProgram,
  dumpProgram,
  callbackProgram,
  cliProgram,
]

const lines = gunzipSync(readFileSync(new URL('../fixtures/records.jsonl.gz', import.meta.url)))
  .toString()
  .split('\n')
  .map(line => JSON.parse(line) as Line)

function rowOf(program: number, procedure: number): AnyProcedure {
  const row = PROGRAMS.find(each => each.number === program)?.byNumber[procedure]
  if (row === undefined) throw new Error(`no row for ${program}.${procedure}`)
  return row
}

/** Decodes a record and encodes what came out. */
function again(row: AnyProcedure, bytes: Buffer): Buffer {
  const reader = Reader.of(bytes)
  const writer = new Writer()
  const { xid, type } = decodeMessageStart(reader)
  if (type === MessageType.CALL) {
    const header = decodeCall(reader, xid)
    const args = row.request.decode(reader)
    encodeCallHead(writer, xid, header.program, header.version, header.procedure, header.credential)
    row.request.encode(writer, args)
  } else {
    const header = decodeReply(reader, xid)
    const result = row.reply.decode(reader)
    encodeReply(writer, xid, header.status)
    row.reply.encode(writer, result)
  }
  expect(reader.remaining).toBe(0)
  return writer.toBuffer()
}

describe('recorded records', () => {
  const groups = new Map<string, Line[]>()
  for (const line of lines) {
    const name = `${line[0]} ${rowOf(line[0], line[2]).name} ${line[3]}`
    groups.set(name, [...(groups.get(name) ?? []), line])
  }
  test.each([...groups.keys()])('%s', name => {
    for (const [program, , procedure, , hex] of groups.get(name) as Line[]) {
      expect(again(rowOf(program, procedure), Buffer.from(hex, 'hex')).toString('hex')).toBe(hex)
    }
  })
  test('there are as many as were recorded', () => {
    expect(lines.length).toBeGreaterThan(2000)
  })
})

/** xorshift32: the same garbage on every run. */
function prng(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function attempt(row: AnyProcedure, bytes: Buffer): void {
  const reader = Reader.of(bytes)
  try {
    const { xid, type } = decodeMessageStart(reader)
    if (type === MessageType.CALL) {
      decodeCall(reader, xid)
      row.request.decode(reader)
    } else {
      decodeReply(reader, xid)
      row.reply.decode(reader)
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error
  }
}

describe('damaged records', () => {
  const samples = lines.filter((_, i) => i % 17 === 0)

  test('cut anywhere: decoded in part or refused with WireError', () => {
    const random = prng(1)
    for (const [program, , procedure, , hex] of samples) {
      const bytes = Buffer.from(hex, 'hex')
      for (let i = 0; i < 8; i++) {
        attempt(rowOf(program, procedure), Buffer.from(bytes.subarray(0, random() % bytes.length)))
      }
    }
  })

  test('a fop cut before its end, payloads aside, is refused', () => {
    for (const [program, , procedure, type, hex] of samples) {
      const row = rowOf(program, procedure)
      if (row.payload !== undefined || program !== fopProgram.number || type !== 'call') continue
      const bytes = Buffer.from(hex, 'hex').subarray(0, -1)
      const reader = Reader.of(bytes)
      const { xid } = decodeMessageStart(reader)
      decodeCall(reader, xid)
      expect(() => row.request.decode(reader)).toThrow(WireError)
    }
  })

  test('words overwritten with hostile numbers', () => {
    const random = prng(2)
    const hostile = [0xffff_ffff, 0x7fff_ffff, 0x8000_0000, 0x0100_0000, 0xffff_fffd, 1, 0]
    for (const [program, , procedure, , hex] of samples) {
      for (let i = 0; i < 12; i++) {
        const bytes = Buffer.from(hex, 'hex')
        const at = (random() % (bytes.length >> 2)) * 4
        bytes.writeUInt32BE(hostile[random() % hostile.length] as number, at)
        attempt(rowOf(program, procedure), bytes)
      }
    }
  })

  test('noise', () => {
    const random = prng(3)
    for (const program of PROGRAMS) {
      for (const row of program.byNumber) {
        if (row === undefined) continue
        for (let i = 0; i < 40; i++) {
          const bytes = Buffer.alloc(random() % 600)
          for (let at = 0; at < bytes.length; at++) {
            bytes[at] = random() % 3 === 0 ? random() & 0xff : random() % 2
          }
          attempt(row, bytes)
          const reader = Reader.of(bytes)
          try {
            row.request.decode(reader)
          } catch (error) {
            expect(error).toBeInstanceOf(WireError)
          }
        }
      }
    }
  })
})
