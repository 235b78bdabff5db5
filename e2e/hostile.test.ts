// Hostile peers at every port: garbage, records that are cut short or too long, lengths that lie.
// Nobody crashes or hangs, and other clients do not notice. Failures replay from the seed.
import * as fs from 'node:fs/promises'
import { connect as connectSocket, type NetConnectOpts, type Socket } from 'node:net'
import { isAlive, memoryOf, within } from '@ashlar/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { mountedVolume, obstacle } from './mounted.ts'

const SEED = Number(process.env['ASHLAR_SEED'] ?? 20261123)
const CASES = 60
/** A peer that has said its last word is hung up on within this. */
const HANG_UP_MS_MAX = 15_000
const MIB = 1024 * 1024

/** mulberry32: small, seeded, good enough to make garbage. */
function seeded(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return limit => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

type Random = (limit: number) => number

function garbage(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)))
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => bytes.writeUInt32BE(value >>> 0, i * 4))
  return bytes
}

const LAST = 0x8000_0000
/** GlusterFS 4.x v1, GlusterFS Handshake, Portmap, DUMP, CLI; and one that nobody has. */
const PROGRAMS = [
  [1298437, 400],
  [14398633, 2],
  [34123456, 1],
  [123451501, 1],
  [1238463, 2],
  [77, 1],
] as const

/** A call's header with whatever credentials. */
function call(random: Random, body: Buffer): Buffer {
  const [program, version] = PROGRAMS[random(PROGRAMS.length)] as readonly [number, number]
  const flavor = [0, 1, 390039, 390040, 5][random(5)] as number
  const credentials = garbage(random, random(8) * 4)
  const claimed = random(3) === 0 ? random(2 ** 32) : credentials.length
  return Buffer.concat([
    words(random(2 ** 32), 0, 2, program, version, random(64), flavor, claimed),
    credentials,
    words(0, 0),
    body,
  ])
}

function record(payload: Buffer, claimed = payload.length): Buffer {
  return Buffer.concat([words((LAST | claimed) >>> 0), payload])
}

/** One hostile thing to say on a port that takes RPC records. */
function hostileRecord(random: Random): Buffer {
  const body = (): Buffer => garbage(random, random(50) * 4)
  switch (random(8)) {
    case 0:
      return garbage(random, 1 + random(2000))
    case 1: // cut short
      return record(call(random, body())).subarray(0, 4 + random(60))
    case 2: // the longest fragment there can be, and hardly a byte of it
      return Buffer.concat([words(0xffff_ffff), call(random, body())])
    case 3: // fragments without end, none the last
      return Buffer.concat(Array.from({ length: 200 }, () => record(body()).fill(0, 0, 1)))
    case 4: // empty fragments
      return words(...Array.from({ length: 500 }, () => 0))
    case 5: // a length inside the body that lies
      return record(call(random, Buffer.concat([garbage(random, 16), words(0xffff_fff0), body()])))
    case 6: // a reply that nobody asked for
      return record(Buffer.concat([words(random(2 ** 32), 1, 0), body()]))
    default:
      return record(call(random, body()))
  }
}

const HTTP: readonly ((random: Random) => Buffer)[] = [
  random => garbage(random, 1 + random(3000)),
  () => Buffer.from(`GET /${'a'.repeat(200_000)} HTTP/1.1\r\n\r\n`),
  () => Buffer.from(`GET /v1/volumes HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(200_000)}\r\n\r\n`),
  () => Buffer.from('POST /v1/volumes HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n{'),
  () => Buffer.from('POST /v1/volumes HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n'),
  () =>
    Buffer.from(
      'POST /v1/volumes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n' +
        'transfer-encoding: chunked\r\n\r\nfffffffff\r\n{}\r\n0\r\n\r\n',
    ),
  () => {
    const deep = '['.repeat(100_000)
    return Buffer.from(
      'POST /v1/volumes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n' +
        `content-length: ${deep.length}\r\n\r\n${deep}`,
    )
  },
  () =>
    Buffer.from(
      'GET /v1/volumes/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    ),
]

/** Says `bytes`, says no more, and waits until the other side hangs up. */
function insult(place: NetConnectOpts, bytes: Buffer): Promise<void> {
  return within(
    `the other side hangs up after ${bytes.subarray(0, 64).toString('hex')}…`,
    HANG_UP_MS_MAX,
    new Promise<void>((resolve, reject) => {
      const socket = connectSocket(place)
      socket.once('connect', () => socket.end(bytes))
      socket.on('data', () => undefined)
      // Being reset is an answer, too; not being let in is none.
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') reject(error)
      })
      socket.once('close', () => resolve())
    }),
  )
}

describe.skipIf(obstacle !== undefined)(`hostile peers, seed ${SEED}`, () => {
  const volume = mountedVolume(2)
  let ports: Record<'glusterd' | 'brick', NetConnectOpts> & { api: NetConnectOpts }
  let pids: number[]

  beforeAll(async () => {
    const { cluster } = volume
    const host = '127.0.0.1'
    ports = {
      glusterd: { host, port: cluster.port },
      brick: { host, port: await cluster.brickPort('gv0', 1) },
      api: { path: cluster.env['ASHLAR_API_SOCKET'] as string },
    }
    pids = [
      cluster.glusterdPid as number,
      cluster.brickPid('gv0', 1) as number,
      cluster.brickPid('gv0', 2) as number,
      volume.mount.pid as number,
    ]
  })

  /** The volume is as it was, for a client that has done nothing. */
  async function allIsWell(): Promise<void> {
    for (const pid of pids) expect(isAlive(pid), `process ${pid}`).toBe(true)
    const name = volume.at('witness')
    await within(
      'the mount works',
      5_000,
      fs.writeFile(name, 'well').then(() => fs.readFile(name)),
    )
    expect((await volume.cluster.gluster('volume', 'info')).status).toBe(0)
  }

  test.each(['glusterd', 'brick'] as const)('%s', async port => {
    const random = seeded(SEED)
    let over = false
    let calls = 0
    const witness = (async () => {
      for (; !over; calls++) {
        await fs.writeFile(volume.at('undisturbed'), String(calls))
        expect(await fs.readFile(volume.at('undisturbed'), 'utf8')).toBe(String(calls))
      }
    })()
    for (let i = 0; i < CASES; i += 10) {
      const batch = Array.from({ length: 10 }, () => hostileRecord(random))
      await Promise.all(batch.map(bytes => insult(ports[port], bytes)))
    }
    over = true
    await witness
    expect(calls).toBeGreaterThan(0)
    await allIsWell()
  })

  test('the API', async () => {
    const random = seeded(SEED)
    for (const make of HTTP) await insult(ports.api, make(random))
    await allIsWell()
  })

  test.each(['glusterd', 'brick'] as const)(
    'a record of fragments without end is cut off by %s',
    async port => {
      const fragment = Buffer.concat([words(64 * 1024), Buffer.alloc(64 * 1024)])
      await within(
        'the other side hangs up',
        HANG_UP_MS_MAX,
        new Promise<void>(resolve => {
          const socket = connectSocket(ports[port])
          socket.on('error', () => undefined)
          socket.once('close', () => resolve())
          // 2 MiB, and then it waits: nobody but the other side ends it.
          for (let i = 0; i < 32; i++) socket.write(fragment)
        }),
      )
      await allIsWell()
    },
  )

  test('records that are announced and never come take no memory', async () => {
    const brick = pids[1] as number
    const before = memoryOf(brick)
    const sockets: Socket[] = []
    try {
      for (let i = 0; i < 100; i++) {
        const socket = connectSocket(ports.brick)
        socket.on('error', () => undefined)
        socket.write(Buffer.concat([words((LAST | (64 * MIB)) >>> 0), Buffer.alloc(1000)]))
        sockets.push(socket)
      }
      await allIsWell()
      expect(memoryOf(brick) - before).toBeLessThan(64 * MIB)
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })
})
