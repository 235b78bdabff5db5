/**
 * A client that was admitted and then sends damaged calls: the brick answers or closes, and goes on
 * serving others. The calls are recorded ones of a real client, damaged from a seed.
 */

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { Dict, inodeLoc, ROOT_CTX, systemRandom } from '@ashlar/core'
import { memoryStorage, SocketBrick, until } from '@ashlar/testkit'
import {
  COMPOUND_STEPS_MAX,
  compoundProgram,
  type CompoundStep,
  decodeCall,
  decodeMessageStart,
  encodeCallHead,
  fopProgram,
  handshakeProgram,
  LAST_FRAGMENT,
  MANAGEMENT_CREDENTIAL,
  Reader,
  Writer,
} from '@ashlar/wire'
import { expect, test } from 'vitest'
import { locks } from '../features/locks/index.ts'

const SEED = 20_261_122
const CALLS = 4000
const WAIT_MS = 10_000

/** Calls of program 400, as a real client sent them, without record marks. */
function recordedCalls(): Buffer[] {
  const file = new URL('../../../wire/fixtures/records.jsonl.gz', import.meta.url)
  return gunzipSync(readFileSync(file))
    .toString()
    .split('\n')
    .map(line => JSON.parse(line) as [number, number, number, string, string])
    .filter(([program, , , type]) => program === fopProgram.number && type === 'call')
    .map(([, , , , hex]) => Buffer.from(hex, 'hex'))
}

/** The same calls, a few at a time as compounds. */
function compoundCalls(calls: readonly Buffer[]): Buffer[] {
  const steps: CompoundStep[] = calls.flatMap(call => {
    const reader = Reader.of(call)
    const { procedure, credential } = decodeCall(reader, decodeMessageStart(reader).xid)
    const row = fopProgram.byNumber[procedure]
    if (row?.fop === undefined) return []
    return [{ row, credential, args: row.request.decode(reader) as unknown }]
  })
  const { number, version, procedures } = compoundProgram
  const { COMPOUND } = procedures
  return steps.map((step, i) => {
    const before = steps.slice(Math.max(0, i - (i % COMPOUND_STEPS_MAX)), i)
    const middle = before.filter(({ row }) => row.payload === undefined)
    const writer = new Writer()
    encodeCallHead(writer, i, number, version, COMPOUND.num, MANAGEMENT_CREDENTIAL)
    COMPOUND.request.encode(writer, [...middle, step])
    return writer.toBuffer()
  })
}

function marked(body: Buffer): Buffer {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE(LAST_FRAGMENT + body.length)
  return Buffer.concat([mark, body])
}

function setvolume(): Buffer {
  const writer = new Writer()
  const { SETVOLUME } = handshakeProgram.procedures
  const { number, version } = handshakeProgram
  encodeCallHead(writer, 1, number, version, SETVOLUME.num, MANAGEMENT_CREDENTIAL)
  const dict = new Dict()
    .setString('remote-subvolume', '/b')
    .setString('process-uuid', `hostile-${systemRandom().integer(2 ** 31)}`)
    .setInt('fops-version', fopProgram.number)
  SETVOLUME.request.encode(writer, { dict })
  return marked(writer.toBuffer())
}

test('damaged calls of an admitted client disturb nobody', { timeout: 60_000 }, async () => {
  await using brick = await SocketBrick.start({ layers: [memoryStorage, locks] })
  const { top, graph, events } = await brick.mount()

  let state = SEED
  const random = (limit: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
  const plain = recordedCalls()
  const compounds = compoundCalls(plain)
  let answeredBytes = 0
  let closed = false
  const stranger = () => {
    const socket = connect(brick.address)
    closed = false
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      answeredBytes += bytes.length
    })
    socket.on('close', () => {
      closed = true
    })
    socket.write(setvolume())
    return socket
  }
  let socket = stranger()
  for (let i = 0; i < CALLS; i++) {
    if (closed) socket = stranger()
    if (i === 0) await until('admission', WAIT_MS, () => answeredBytes > 0)
    const calls = random(3) === 0 ? compounds : plain
    const body = Buffer.from(calls[random(calls.length)] as Buffer)
    for (let hits = random(4); hits > 0; hits--) {
      // Behind header and credential, mostly: damage there reaches the decoders and leaves the
      // connection open.
      const at =
        random(100) === 0 ? random(body.length) : 88 + random(Math.max(1, body.length - 88))
      if (at < body.length) body[at] = random(3) === 0 ? 0xff : random(256)
    }
    const cut = random(6) === 0 ? body.subarray(0, 88 + random(body.length - 87)) : body
    socket.write(marked(cut))
    if (i % 10 === 0) {
      const root = inodeLoc(graph.inodes.root)
      const reply = await top.stat(ROOT_CTX, { loc: root })
      expect(reply.ok, `call ${i} of seed ${SEED}`).toBe(true)
    }
  }
  socket.destroy()
  expect(events.filter(each => each.kind === 'child-down')).toEqual([])
  await until('the hostile client to be gone', WAIT_MS, () => brick.clients().length === 1)
  // Most calls were damaged but little, and got an answer.
  expect(answeredBytes).toBeGreaterThan(CALLS * 20)
})
