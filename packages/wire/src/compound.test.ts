/** Compounds of recorded calls: what is sent comes through, and nothing else is accepted. */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { NULL_GFID } from '@ashlar/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AuthFlavor,
  type CompoundReply,
  compoundProgram,
  type CompoundStep,
  type CompoundStepReply,
  COMPOUND_STEPS_MAX,
  type Credential,
  decodeCall,
  decodeMessageStart,
  decodeReply,
  fdOfStep,
  fopProgram,
  NULL_CREDENTIAL,
  Reader,
  resolveFds,
  stepOfFd,
  WireError,
  Writer,
} from './index.ts'

const { COMPOUND } = compoundProgram.procedures
const P = fopProgram.procedures

type Line = [program: number, version: number, procedure: number, type: string, hex: string]
const steps: CompoundStep[] = []
const replies: CompoundStepReply[] = []
for (const text of gunzipSync(
  readFileSync(new URL('../fixtures/records.jsonl.gz', import.meta.url)),
)
  .toString()
  .split('\n')) {
  const [program, , procedure, type, hex] = JSON.parse(text) as Line
  const row = fopProgram.byNumber[procedure]
  if (program !== fopProgram.number || row?.fop === undefined) continue
  const reader = Reader.of(Buffer.from(hex, 'hex'))
  const { xid } = decodeMessageStart(reader)
  if (type === 'call') {
    const { credential } = decodeCall(reader, xid)
    steps.push({ row, credential, args: row.request.decode(reader) })
  } else {
    decodeReply(reader, xid)
    replies.push({ row, reply: row.reply.decode(reader) })
  }
}

function encoded(value: readonly CompoundStep[]): Buffer {
  const writer = new Writer()
  COMPOUND.request.encode(writer, value)
  return writer.toBuffer()
}

function decoded(bytes: Buffer): readonly CompoundStep[] {
  const reader = Reader.of(bytes)
  const value = COMPOUND.request.decode(reader)
  expect(reader.remaining).toBe(0)
  return value
}

const pick = <T>(from: readonly T[]): fc.Arbitrary<T> =>
  fc.nat(from.length - 1).map(i => from[i] as T)
const middles = steps.filter(({ row }) => row.payload === undefined)
const compounds = fc
  .tuple(fc.array(pick(middles), { maxLength: COMPOUND_STEPS_MAX - 1 }), pick(steps))
  .map(([before, last]) => [...before, last])
const owner: Credential = {
  ...NULL_CREDENTIAL,
  flavor: AuthFlavor.GLUSTERFS_V3,
  pid: -6,
  uid: 5,
  gid: 6,
  groups: [7, 8],
  lkOwner: '\x01\xfe',
}
const onGfid = { gfid: NULL_GFID, xdata: undefined }
const stat: CompoundStep = { row: P.STAT, credential: undefined, args: onGfid }
const read: CompoundStep = {
  row: P.READ,
  credential: undefined,
  args: { gfid: NULL_GFID, fd: -2, offset: 0, size: 9, flags: 0, xdata: undefined },
}
const onFd = (fd: number): CompoundStep => ({
  row: P.FSTAT,
  credential: undefined,
  args: { gfid: NULL_GFID, fd, xdata: undefined },
})
const opening: CompoundStep = {
  row: P.OPEN,
  credential: owner,
  args: { gfid: NULL_GFID, flags: 2, xdata: undefined },
}

describe('requests', () => {
  test('of any recorded calls come through', () => {
    fc.assert(
      fc.property(compounds, value => {
        const bytes = encoded(value)
        const back = decoded(bytes)
        expect(back).toEqual(value)
        expect(encoded(back).equals(bytes)).toBe(true)
      }),
    )
  })

  test('a step has its own caller or the call’s', () => {
    const back = decoded(encoded([{ ...stat, credential: owner }, stat]))
    expect(back.map(({ credential }) => credential)).toEqual([owner, undefined])
  })

  test('none, too many, and file data amid the steps are refused', () => {
    expect(() => decoded(encoded([]))).toThrow(WireError)
    expect(() => encoded(Array.from({ length: COMPOUND_STEPS_MAX + 1 }, () => stat))).toThrow(
      WireError,
    )
    expect(() => encoded([read, stat])).toThrow(WireError)
    const many = encoded([stat, stat])
    many.writeUInt32BE(COMPOUND_STEPS_MAX + 1)
    expect(() => decoded(many)).toThrow(WireError)
    const swapped = encoded([stat, stat])
    swapped.writeUInt32BE(P.READ.num, 4)
    expect(() => decoded(swapped)).toThrow(WireError)
  })

  test('only fops are steps: no compound in a compound, nothing unknown', () => {
    for (const number of [0, P.RELEASE.num, P.PUT.num, 49, 57, 1000, 0xffff_ffff]) {
      const bytes = encoded([stat])
      bytes.writeUInt32BE(number, 4)
      expect(() => decoded(bytes)).toThrow(WireError)
    }
  })

  test('a step may use the fd of a step before it that opens one, and no other', () => {
    const back = decoded(encoded([opening, onFd(fdOfStep(0))]))
    expect(resolveFds(back[1]?.args, step => step + 40)).toMatchObject({ fd: 40 })
    expect(() => decoded(encoded([onFd(fdOfStep(1)), opening]))).toThrow(WireError)
    expect(() => decoded(encoded([onFd(fdOfStep(0))]))).toThrow(WireError)
    expect(() => decoded(encoded([stat, onFd(fdOfStep(0))]))).toThrow(WireError)
    const plain = { gfid: NULL_GFID, fd: -2, xdata: undefined }
    expect(resolveFds(plain, () => 40)).toBe(plain)
    for (const fd of [-2, -1, 0, fdOfStep(16)]) expect(stepOfFd(fd)).toBeUndefined()
  })
})

describe('replies', () => {
  const anyReply = pick(replies)
  const plain = pick(replies.filter(({ row }) => row.payload !== 'reply'))
  const values = fc
    .tuple(fc.array(plain, { maxLength: COMPOUND_STEPS_MAX - 1 }), anyReply)
    .map(([before, last]): CompoundReply => ({ ret: 0, errno: 0, steps: [...before, last] }))

  function through(value: CompoundReply): CompoundReply {
    const writer = new Writer()
    COMPOUND.reply.encode(writer, value)
    const reader = Reader.of(writer.toBuffer())
    const back = COMPOUND.reply.decode(reader)
    expect(reader.remaining).toBe(0)
    return back
  }

  test('of any recorded replies come through', () => {
    fc.assert(
      fc.property(values, value => {
        expect(through(value)).toEqual(value)
      }),
    )
  })

  test('a refusal has no steps', () => {
    const refused = { ret: -1, errno: 22, steps: [] }
    expect(through(refused)).toEqual(refused)
    expect(through(COMPOUND.reply.zero)).toEqual(COMPOUND.reply.zero)
  })
})

describe('damaged', () => {
  const hostile = [0xffff_ffff, 0x7fff_ffff, 0x8000_0000, 0x0100_0000, 17, 49, 2, 1, 0]

  /** Only a WireError may come out of it. */
  function attempt(bytes: Buffer): void {
    for (const codec of [COMPOUND.request, COMPOUND.reply]) {
      try {
        codec.decode(Reader.of(bytes))
      } catch (error) {
        if (!(error instanceof WireError)) throw error
      }
    }
  }

  test('words overwritten, ends cut off', () => {
    fc.assert(
      fc.property(
        compounds,
        fc.array(fc.tuple(fc.nat(), pick(hostile)), { maxLength: 4 }),
        fc.nat(),
        (value, hits, cut) => {
          const bytes = encoded(value)
          for (const [at, word] of hits) bytes.writeUInt32BE(word, (at % (bytes.length >> 2)) * 4)
          attempt(bytes)
          attempt(bytes.subarray(0, cut % bytes.length))
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('noise', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), noise => attempt(Buffer.from(noise))))
  })
})
