/** Client and server over real sockets: calls, payloads, breaks, silence, garbage, pressure. */

import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Address,
  EMPTY_IATT,
  type Env,
  Errno,
  NULL_GFID,
  offlineNetwork,
  silentLog,
  systemClock,
  systemRandom,
} from '@ashlar/core'
import {
  callbackProgram,
  dumpProgram,
  fopProgram,
  handshakeProgram,
  type Reader,
} from '@ashlar/wire'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type IncomingCall,
  isFailure,
  RpcClient,
  type RpcClientOptions,
  RpcServer,
  type RpcServerOptions,
  tcpNetwork,
} from './index.ts'

const env: Env = {
  clock: systemClock,
  random: systemRandom(),
  log: silentLog,
  network: tcpNetwork(),
}
const P = fopProgram.procedures
const LOOPBACK = { host: '127.0.0.1', port: 0 }

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Time that passes when the test says so: only the sockets are real. */
function ownTime(): {
  clock: Env['clock']
  timers: Map<object, { at: number; action: () => void }>
  time: { now: number }
} {
  const time = { now: 0 }
  const timers = new Map<object, { at: number; action: () => void }>()
  const clock: Env['clock'] = {
    monotonic: () => time.now,
    wall: () => ({ sec: 0, nsec: 0 }),
    after: (ms, action) => {
      const timer = { cancel: () => void timers.delete(timer) }
      timers.set(timer, { at: time.now + ms, action })
      return timer
    },
  }
  return { clock, timers, time }
}

async function until(what: string, condition: () => boolean, ms = 5000): Promise<void> {
  const deadline = performance.now() + ms
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${ms} ms`)
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function serve(
  handle: (call: IncomingCall) => void,
  options: Partial<RpcServerOptions> & { address?: Address } = {},
): Promise<{ server: RpcServer; address: Address }> {
  const programs = [{ program: fopProgram, handle }]
  const server = new RpcServer({ env, programs, ...options })
  const address = await server.listen(options.address ?? LOOPBACK)
  cleanups.push(() => server.close())
  return { server, address }
}

async function connected(
  address: () => Address,
  options: Partial<RpcClientOptions> = {},
): Promise<RpcClient> {
  const client = new RpcClient({
    env,
    name: 'test',
    address,
    connected: () => {},
    ...options,
  })
  cleanups.push(() => client.stop())
  client.start()
  await until('a connection', () => client.connected)
  return client
}

const read = (size: number) => ({
  gfid: NULL_GFID,
  fd: 1,
  offset: 0,
  size,
  flags: 0,
  xdata: undefined,
})
const write = (data: Buffer) => ({ ...read(data.length), data })
const iatts = { ret: 0, errno: 0, xdata: undefined, prestat: EMPTY_IATT, poststat: EMPTY_IATT }

function pattern(length: number, seed = 7): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 17 + seed) & 0xff
  return bytes
}

function echo(call: IncomingCall): void {
  if (call.row === P.READ) {
    const { size } = call.args as { size: number }
    const data = pattern(size)
    call.reply({ ret: size, errno: 0, stat: EMPTY_IATT, size, xdata: undefined, data })
  } else if (call.row === P.WRITE) {
    const { data } = call.args as { data: Buffer }
    call.reply({ ...iatts, ret: data.equals(pattern(data.length)) ? data.length : -1 })
  } else {
    call.reply(call.row.reply.zero)
  }
}

describe.each(['tcp', 'unix'])('over %s', kind => {
  function address(): Address {
    if (kind === 'tcp') return LOOPBACK
    const directory = mkdtempSync(join(tmpdir(), 'rpc-'))
    cleanups.push(() => rmSync(directory, { recursive: true }))
    return { path: join(directory, 'socket') }
  }

  test('payloads of all sizes, many at a time, come through', async () => {
    const bound = await serve(echo, { address: address() })
    const client = await connected(() => bound.address)
    const sizes = [0, 1, 4096, 4097, 65_536, 1 << 20, 3_000_001, 17, 131_072]
    await Promise.all(
      [...sizes, ...sizes].map(async size => {
        const got = await client.call(fopProgram, P.READ, read(size))
        if (isFailure(got)) throw new Error('read failed')
        expect(got.data.equals(pattern(size))).toBe(true)
        const put = await client.call(fopProgram, P.WRITE, write(pattern(size)))
        expect(isFailure(put) ? -2 : put.ret).toBe(size)
      }),
    )
  })
})

describe('a call', () => {
  test('fails at once without a connection', async () => {
    const client = new RpcClient({ env, name: 't', address: () => LOOPBACK, connected: () => {} })
    const reply = await client.call(fopProgram, P.NULL, undefined)
    expect(isFailure(reply) && reply.errno).toBe(Errno.ENOTCONN)
  })

  test('fails with ENOTCONN when the RPC layer refuses it', async () => {
    const { address } = await serve(echo)
    const client = await connected(() => address)
    const unknown = await client.call(handshakeProgram, handshakeProgram.procedures.PING, undefined)
    expect(isFailure(unknown) && unknown.errno).toBe(Errno.ENOTCONN)
    const version = { ...fopProgram, version: 330 }
    const mismatch = await client.call(version, P.NULL, undefined)
    expect(isFailure(mismatch) && mismatch.errno).toBe(Errno.ENOTCONN)
    const missing = await client.call(fopProgram, { ...P.NULL, num: 49 }, undefined)
    expect(isFailure(missing) && missing.errno).toBe(Errno.ENOTCONN)
    expect(client.connected).toBe(true)
  })

  test('is on its connection until it is answered, whatever the order', async () => {
    const held: IncomingCall[] = []
    const { server, address } = await serve(call => held.push(call))
    const client = await connected(() => address)
    const sizes = [1, 2, 3, 4]
    const replies = sizes.map(size => client.call(fopProgram, P.READ, read(size)))
    await until('all calls', () => held.length === sizes.length)
    const [connection] = server.connections
    const waiting = (): number[] =>
      [...(connection?.unanswered ?? [])].map(call => (call.args as { size: number }).size)
    expect(waiting()).toEqual([1, 2, 3, 4])
    for (const [n, left] of [
      [1, [1, 3, 4]],
      [0, [3, 4]],
      [3, [3]],
      [2, []],
    ] as const) {
      echo(held[n] as IncomingCall)
      expect(waiting()).toEqual(left)
    }
    await Promise.all(replies)
    const rpc = connection?.rpc
    // Four replies with their payloads, of at least a head and a body each.
    expect(rpc?.bytesSent).toBeGreaterThan(4 * 24 + 10)
    expect(rpc?.bytesReceived).toBeGreaterThan(4 * 40)
    const before = rpc?.bytesReceived ?? 0
    const put = client.call(fopProgram, P.WRITE, write(pattern(1 << 20)))
    await until('the write', () => held.length === 5)
    expect((rpc?.bytesReceived ?? 0) - before).toBeGreaterThan(1 << 20)
    echo(held[4] as IncomingCall)
    await put
  })

  test('that cannot be said fails alone', async () => {
    const { address } = await serve(echo)
    const client = await connected(() => address)
    const bad = client.call(fopProgram, P.NULL, undefined, {
      flavor: 390_040,
      pid: 1,
      uid: 0,
      gid: 0,
      groups: [],
      lkOwner: 'x'.repeat(200),
      flags: 0,
      sec: 0,
      nsec: 0,
    })
    const good = client.call(fopProgram, P.NULL, undefined)
    expect(isFailure(await bad)).toBe(true)
    expect(isFailure(await good)).toBe(false)
  })

  test('that is never answered fails after the frame-timeout', async () => {
    const { address } = await serve(() => {})
    const client = await connected(() => address, { frameTimeoutMs: 50, pingTimeoutMs: 80 })
    const reply = await client.call(fopProgram, P.NULL, undefined)
    expect(isFailure(reply) && reply.errno).toBe(Errno.ENOTCONN)
    expect(client.connected).toBe(true)
  })
})

describe('a connection', () => {
  test('that breaks fails its calls and is made again', async () => {
    const first = await serve(call => {
      if (call.row !== P.STAT) echo(call)
    })
    const lost: string[] = []
    const client = await connected(() => first.address, {
      disconnected: reason => lost.push(reason),
    })
    const pending = client.call(fopProgram, P.STAT, { gfid: NULL_GFID, xdata: undefined })
    await until('the call to arrive', () => first.server.connections.size === 1)
    await first.server.close()
    const reply = await pending
    expect(isFailure(reply) && reply.errno).toBe(Errno.ENOTCONN)
    expect(lost.length).toBeGreaterThan(0)
    await serve(echo, { address: first.address })
    await until('a new connection', () => client.connected)
    expect(isFailure(await client.call(fopProgram, P.NULL, undefined))).toBe(false)
  })

  test('to a silent server ends after the ping-timeout', async () => {
    const silent = await env.network.listen(LOOPBACK, () => ({
      opened: () => {},
      target: () => undefined,
      received: () => {},
      drained: () => {},
      closed: () => {},
    }))
    cleanups.push(() => silent.close())
    const client = await connected(() => silent.address, { pingTimeoutMs: 200 })
    const start = performance.now()
    const reply = await client.call(fopProgram, P.NULL, undefined)
    const elapsed = performance.now() - start
    expect(isFailure(reply) && reply.errno).toBe(Errno.ENOTCONN)
    expect(elapsed).toBeGreaterThan(100)
    expect(elapsed).toBeLessThan(1500)
  })

  test('nobody waits longer than the ping-timeout from the last sign of life', async () => {
    let say: (text: Buffer) => void = () => {}
    const silent = await env.network.listen(LOOPBACK, stream => {
      say = text => stream.write([text])
      return {
        opened: () => {},
        target: () => undefined,
        received: () => {},
        drained: () => {},
        closed: () => {},
      }
    })
    cleanups.push(() => silent.close())
    const { clock, timers, time } = ownTime()
    const pass = async (ms: number): Promise<void> => {
      for (const end = time.now + ms; time.now < end; ) {
        time.now += 1
        for (const [timer, { at, action }] of timers) {
          if (at <= time.now && timers.delete(timer)) action()
        }
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    let heard = 0
    const client = await connected(() => silent.address, {
      env: { ...env, clock },
      pingTimeoutMs: 16_000,
      callback: () => {
        heard += 1
      },
    })
    let failed = false
    const reply = client.call(fopProgram, P.NULL, undefined).then(value => {
      failed = true
      return value
    })
    // The server goes silent just after its silence was last measured.
    await pass(1001)
    const call = [1, 0, 2, callbackProgram.number, callbackProgram.version, 0, 0, 0, 0, 0]
    const record = Buffer.alloc(4 + call.length * 4)
    for (const [i, word] of [0x8000_0000 + call.length * 4, ...call].entries())
      record.writeUInt32BE(word, i * 4)
    say(record)
    await until('the sign of life', () => heard === 1)
    await pass(12_000)
    expect(failed).toBe(false)
    await pass(4000)
    expect(isFailure(await reply)).toBe(true)
  })

  test('stays while the server answers pings, however long a call takes', async () => {
    let release: (() => void) | undefined
    const { address } = await serve(call => {
      release = () => echo(call)
    })
    const client = await connected(() => address, { pingTimeoutMs: 80 })
    let answered = false
    const reply = client.call(fopProgram, P.NULL, undefined).then(value => {
      answered = true
      return value
    })
    const start = performance.now()
    await until('four ping-timeouts', () => performance.now() - start > 320)
    expect(client.connected).toBe(true)
    expect(answered).toBe(false)
    release?.()
    expect(isFailure(await reply)).toBe(false)
  })

  test('a ping-timeout that is set later counts for calls under way', async () => {
    const silent = await env.network.listen(LOOPBACK, () => ({
      opened: () => {},
      target: () => undefined,
      received: () => {},
      drained: () => {},
      closed: () => {},
    }))
    cleanups.push(() => silent.close())
    const client = await connected(() => silent.address, { pingTimeoutMs: 42_000 })
    const reply = client.call(fopProgram, P.NULL, undefined)
    client.setPingTimeout(100)
    expect(isFailure(await reply)).toBe(true)
  })

  test('that is neither taken nor refused is tried again', async () => {
    let attempts = 0
    const nowhere: Env['network'] = {
      ...env.network,
      connect: address => {
        attempts += 1
        const none = (): void => {}
        return {
          remote: address,
          local: address,
          queued: 0,
          write: none,
          pause: none,
          resume: none,
          close: none,
        }
      },
    }
    const client = new RpcClient({
      env: { ...env, network: nowhere },
      name: 't',
      address: () => LOOPBACK,
      connected: () => {},
      connectTimeoutMs: 10,
    })
    cleanups.push(() => client.stop())
    client.start()
    await until('three attempts', () => attempts >= 3)
  })

  test('to a server that has just gone is tried every second, later every three', async () => {
    const { clock, timers, time } = ownTime()
    const attempts: number[] = []
    const network: Env['network'] = {
      ...offlineNetwork,
      connect: (address, handler) => {
        attempts.push(time.now)
        return offlineNetwork.connect(address, handler)
      },
    }
    const client = new RpcClient({
      env: { ...env, clock, network },
      name: 't',
      address: () => LOOPBACK,
      connected: () => {},
    })
    cleanups.push(() => client.stop())
    client.start()
    while (time.now < 90_000) {
      await new Promise(resolve => setImmediate(resolve))
      const [next] = [...timers].toSorted(([, one], [, other]) => one.at - other.at)
      if (next === undefined) break
      timers.delete(next[0])
      time.now = next[1].at
      next[1].action()
    }
    const waits = attempts.slice(1).map((at, i) => at - (attempts[i] as number))
    expect(waits.slice(0, 6)).toEqual([50, 100, 200, 400, 800, 1000])
    expect(Math.max(...waits.filter((_, i) => (attempts[i] as number) < 60_000))).toBe(1000)
    expect(waits.at(-1)).toBe(3000)
  })

  test('carries callbacks', async () => {
    const { server, address } = await serve(echo)
    const pids: number[] = []
    await connected(() => address, {
      callback: (program, procedure, reader: Reader) => {
        expect(program).toBe(callbackProgram.number)
        expect(procedure).toBe(callbackProgram.procedures.STATEDUMP.num)
        pids.push(callbackProgram.procedures.STATEDUMP.request.decode(reader).pid)
      },
    })
    await until('the connection', () => server.connections.size === 1)
    for (const connection of server.connections) {
      connection.callback(callbackProgram.procedures.STATEDUMP, { pid: 4711 })
    }
    await until('the callback', () => pids.length > 0)
    expect(pids).toEqual([4711])
  })
})

describe('a server', () => {
  test('lists its programs', async () => {
    const { address } = await serve(echo)
    const client = await connected(() => address)
    const reply = await client.call(dumpProgram, dumpProgram.procedures.DUMP, { id: 0 })
    if (isFailure(reply)) throw new Error('DUMP failed')
    expect(reply.programs.map(each => [each.number, each.version])).toEqual([
      [1_298_437, 400],
      [123_451_501, 1],
    ])
  })

  test('reads no further when a client asks more than may be unanswered', async () => {
    let begun = 0
    const held: IncomingCall[] = []
    const { server, address } = await serve(
      call => {
        begun += 1
        held.push(call)
      },
      { inFlightMax: 8 },
    )
    const client = await connected(() => address)
    const data = pattern(512 * 1024)
    const replies = Array.from({ length: 64 }, () => client.call(fopProgram, P.WRITE, write(data)))
    await until('some calls', () => begun >= 8)
    const [connection] = server.connections
    const before = begun
    // Others are served meanwhile.
    const other = await connected(() => address)
    expect(isFailure(await other.call(dumpProgram, dumpProgram.procedures.PING, undefined))).toBe(
      false,
    )
    expect(begun).toBe(before)
    expect(connection?.inFlight).toBeLessThan(16)
    const answering = setInterval(() => held.splice(0).forEach(echo), 1)
    const done = await Promise.all(replies)
    clearInterval(answering)
    expect(done.every(reply => !isFailure(reply))).toBe(true)
  })

  describe('is told when a payload has been sent', () => {
    /** Answers with memory that is used for something else as soon as it is given back. */
    const lending = () => {
      const lent = { given: 0, back: 0 }
      const answer = (call: IncomingCall): void => {
        const { size } = call.args as { size: number }
        const data = pattern(size)
        lent.given += 1
        const done = (): void => {
          lent.back += 1
          data.fill(0)
        }
        call.reply({ ret: size, errno: 0, stat: EMPTY_IATT, size, xdata: undefined, data, done })
      }
      return { lent, answer }
    }

    test('all of it, and not before', async () => {
      const { lent, answer } = lending()
      const { address } = await serve(answer)
      const client = await connected(() => address)
      const sizes = Array.from({ length: 40 }, (_, i) => (i % 4 === 0 ? 4096 : 1 << 20))
      await Promise.all(
        sizes.map(async size => {
          const got = await client.call(fopProgram, P.READ, read(size))
          if (isFailure(got)) throw new Error('read failed')
          expect(got.data.equals(pattern(size))).toBe(true)
        }),
      )
      await until('all memory to be back', () => lent.back === lent.given)
    })

    test('never, when the connection ends before', async () => {
      const { lent, answer } = lending()
      const held: IncomingCall[] = []
      const { server, address } = await serve(call => held.push(call))
      const client = await connected(() => address)
      const replies = Array.from({ length: 64 }, () =>
        client.call(fopProgram, P.READ, read(1 << 20)),
      )
      await until('the calls', () => held.length === 64)
      held.forEach(answer)
      client.stop()
      await Promise.all(replies)
      await until('its end', () => server.connections.size === 0)
      expect(lent.given).toBe(64)
      expect(lent.back).toBeLessThan(64)
    })
  })

  test('refuses connections beyond its limit', async () => {
    const { server, address } = await serve(echo, { connectionsMax: 1 })
    await connected(() => address)
    let closed = false
    const socket = connectSocket(address as { host: string; port: number })
    socket.on('close', () => {
      closed = true
    })
    socket.on('error', () => {})
    await until('the refusal', () => closed)
    expect(server.connections.size).toBe(1)
  })

  test('takes long records of clients that it trusts only', async () => {
    const { server, address } = await serve(
      call => {
        call.connection.trusted()
        echo(call)
      },
      { strangerBytesMax: 1000 },
    )
    const long = Buffer.alloc(4 + 5000)
    long.writeUInt32BE(0x8000_0000 + 5000, 0)
    const socket = connectSocket(address as { host: string; port: number })
    let closed = false
    socket.on('close', () => (closed = true))
    socket.on('error', () => {})
    socket.write(long)
    await until('the end of the stranger', () => closed)
    const client = await connected(() => address)
    expect(isFailure(await client.call(fopProgram, P.NULL, undefined))).toBe(false)
    const put = await client.call(fopProgram, P.WRITE, write(pattern(5000)))
    expect(isFailure(put) ? -2 : put.ret).toBe(5000)
    expect(server.connections.size).toBe(1)
  })

  test('closes connections that send garbage, others undisturbed', async () => {
    const { server, address } = await serve(echo)
    const client = await connected(() => address)
    let state = 42
    const random = (): number => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return state >>> 0
    }
    for (let round = 0; round < 60; round++) {
      const socket = connectSocket(address as { host: string; port: number })
      let closed = false
      socket.on('close', () => {
        closed = true
      })
      socket.on('error', () => {})
      const bytes = Buffer.alloc(8 + (random() % 4000))
      for (let i = 0; i < bytes.length; i++) bytes[i] = random() & 0xff
      const kind = round % 4
      if (kind === 0) bytes.writeUInt32BE(0xffff_ffff, 0) // a record of 2 GiB
      if (kind === 1) bytes.writeUInt32BE(0x8000_0000 + bytes.length - 4, 0) // a record of noise
      if (kind === 2) bytes.writeUInt32BE(0x8000_0000, 0) // an empty record
      socket.write(bytes)
      // A record that is announced and does not come is no garbage yet: the client ends it.
      if (kind === 3) socket.end()
      await until(`end of connection ${round}`, () => closed || kind === 3)
      socket.destroy()
      expect(isFailure(await client.call(fopProgram, P.NULL, undefined))).toBe(false)
    }
    await until('all of them to be gone', () => server.connections.size === 1)
  })
})
