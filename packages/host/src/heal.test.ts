/**
 * The self-heal daemon's process and the short process of `volume heal info`, over a glusterd that
 * has volfiles and nothing else, and replicate translators that say what the test tells them.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AnyXlatorDefinition,
  defineXlator,
  Dict,
  type Env,
  Errno,
  failure,
  type Log,
  silentLog,
  systemClock,
  systemRandom,
  type TcpAddress,
  type Volfile,
  type XlatorSelf,
} from '@ashlar/core'
import { type IncomingCall, isFailure, RpcClient, RpcServer, tcpNetwork } from '@ashlar/transport'
import { brickProgram, callbackProgram, handshakeProgram } from '@ashlar/wire'
import type { Healer, Resolution } from '@ashlar/xlators'
import { afterEach, describe, expect, it } from 'vitest'
import { definitionsFor } from './definitions.ts'
import { HealOperation } from './heal-operations.ts'
import { HealProcess } from './heal-process.ts'
import { HealSession } from './heal-session.ts'
import { StatusCommand } from './status-operations.ts'

const env: Env = {
  clock: systemClock,
  random: systemRandom(),
  network: tcpNetwork(),
  log: silentLog,
}

/** What happened to a scripted set: calls in order, with what its process says of itself. */
interface Seen {
  readonly calls: string[]
  readonly processes: XlatorSelf['graph']['process'][]
  readonly nodeUuids: (string | undefined)[]
}

function scriptedHealer(self: XlatorSelf, seen: Seen, down: ReadonlySet<string>): Healer {
  const bricks = self.children.map(({ name }) => ({ brick: name, up: !down.has(name) }))
  const file = 'f1'
  return {
    name: self.name,
    bricks,
    healIndex: () => seen.calls.push(`${self.name} index`),
    healFull: () => seen.calls.push(`${self.name} full`),
    info: () =>
      Promise.resolve(
        bricks.map(({ brick, up }) => ({
          brick,
          entries: up
            ? [
                {
                  gfid: self.env.random.uuid(),
                  path: `/${self.name}`,
                  state: 'pending' as const,
                  reason: 'because',
                  age: 3,
                },
              ]
            : failure(Errno.ENOTCONN),
        })),
      ),
    counts: () => Promise.resolve(bricks.map(({ up }, n) => (up ? n : undefined))),
    statistics: () =>
      bricks.map(({ brick }, n) => ({
        brick,
        type: 'INDEX',
        started: 1_000_000_000_000 + n,
        ended: n === 0 ? undefined : 1_000_000_001_000,
        healed: n,
        splitBrain: 0,
        failed: 0,
      })),
    resolve: (resolution: Resolution, name) => {
      seen.calls.push(`${self.name} ${JSON.stringify(resolution)} ${name}`)
      const mine = self.name.endsWith('-1')
      return Promise.resolve([
        {
          file: name ?? file,
          outcome: mine ? ('healed' as const) : ('failed' as const),
          reason: mine ? '' : 'No such file or directory',
        },
      ])
    },
    markEmpty: brick => {
      seen.calls.push(`${self.name} empty ${brick}`)
      return Promise.resolve(undefined)
    },
  }
}

/** Replicate translators by script; clients that are up or down at once, without a network. */
function scriptedDefinitions(
  seen: Seen,
  down: ReadonlySet<string>,
): (volfile: Volfile, log: Log) => ReadonlyMap<string, AnyXlatorDefinition> {
  const replicate = defineXlator({
    type: 'cluster/replicate',
    options: {},
    create: self => {
      seen.processes.push(self.graph.process)
      seen.nodeUuids.push(self.texts.get('node-uuid'))
      return { healer: scriptedHealer(self, seen, down) } as object
    },
  })
  const client = defineXlator({
    type: 'protocol/client',
    options: {},
    create: self => ({
      start: () => self.notify({ kind: down.has(self.name) ? 'child-down' : 'child-up' }),
    }),
  })
  return (volfile, log) => {
    const rest = { nodes: volfile.nodes.filter(node => node.type !== replicate.type) }
    return new Map<string, AnyXlatorDefinition>([
      ...definitionsFor(rest, log),
      [replicate.type, replicate],
      [client.type, client],
    ])
  }
}

function volfileOf(volume: string, sets: number, pingTimeout = 42): string {
  const clients = Array.from({ length: sets * 2 }, (_, n) =>
    [
      `volume ${volume}-client-${n}`,
      '    type protocol/client',
      `    option ping-timeout ${pingTimeout}`,
      '    option remote-host server1',
      `    option remote-subvolume /bricks/${n}`,
      '    option remote-port 1',
      'end-volume',
    ].join('\n'),
  )
  const replicas = Array.from({ length: sets }, (_, n) =>
    [
      `volume ${volume}-replicate-${n}`,
      '    type cluster/replicate',
      `    subvolumes ${volume}-client-${2 * n} ${volume}-client-${2 * n + 1}`,
      'end-volume',
    ].join('\n'),
  )
  const names = Array.from({ length: sets }, (_, n) => `${volume}-replicate-${n}`).join(' ')
  const top = `volume ${volume}\n    type debug/io-stats\n    subvolumes ${names}\nend-volume`
  return [...clients, ...replicas, top].join('\n\n')
}

/** A glusterd that has volfiles. */
class Volfiles {
  readonly texts = new Map<string, string>()
  readonly #server: RpcServer
  address: TcpAddress = { host: '127.0.0.1', port: 0 }

  constructor() {
    const { GETSPEC } = handshakeProgram.procedures
    this.#server = new RpcServer({
      env,
      programs: [
        {
          program: handshakeProgram,
          handle: call => {
            const { key } = (call as IncomingCall<{ key: string }>).args
            const spec = call.row === GETSPEC ? this.texts.get(key) : undefined
            call.reply(
              spec === undefined
                ? { ret: -1, errno: Errno.ENOENT, spec: '', xdata: undefined }
                : { ret: spec.length, errno: 0, spec, xdata: undefined },
            )
          },
        },
      ],
    })
  }

  async listen(): Promise<void> {
    this.address = (await this.#server.listen(this.address)) as TcpAddress
  }

  change(id: string, text: string): void {
    this.texts.set(id, text)
    for (const connection of this.#server.connections) {
      connection.callback(callbackProgram.procedures.FETCHSPEC, undefined)
    }
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}

const scratch = mkdtempSync(join(tmpdir(), 'ashlar-heal-'))
const undo: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
  rmSync(scratch, { recursive: true, force: true })
})

async function volfiles(texts: Readonly<Record<string, string>>): Promise<Volfiles> {
  const server = new Volfiles()
  for (const [id, text] of Object.entries(texts)) server.texts.set(id, text)
  await server.listen()
  undo.push(() => server.close())
  return server
}

describe('the self-heal daemon', () => {
  const socket = join(scratch, 'control.sock')

  async function daemonOf(
    server: Volfiles,
    definitions?: ReturnType<typeof scriptedDefinitions>,
  ): Promise<HealProcess> {
    const daemon = new HealProcess({
      env,
      volfileServers: [server.address],
      volfileId: 'shd/one',
      pidFile: join(scratch, 'one.pid'),
      controlSocket: socket,
      xlatorOptions: ['*replicate*.node-uuid=U'],
      ...(definitions === undefined ? {} : { definitions }),
    })
    undo.push(() => daemon.stop())
    await daemon.start()
    return daemon
  }

  function ask(
    operation: keyof typeof brickProgram.procedures,
    name: string,
    input: Dict | Buffer = new Dict(),
    dict = new Dict(),
  ): Promise<{ ret: number; output: Dict; errstr: string }> {
    return new Promise((resolve, reject) => {
      const row = brickProgram.procedures[operation as 'STATUS']
      const client = new RpcClient({
        env,
        name: 'test',
        address: () => ({ path: socket }),
        connected: () => {
          const args = { name, op: row.num, input: input as Dict, dict }
          void client.call(brickProgram, row, args).then(reply => {
            if (isFailure(reply)) reject(new Error('no answer'))
            else resolve({ ...reply, output: reply.output ?? new Dict() })
          })
        },
      })
      undo.push(() => client.stop())
      client.start()
    })
  }

  it('serves the volumes that are attached, and ends with the last one', async () => {
    const seen: Seen = { calls: [], processes: [], nodeUuids: [] }
    const server = await volfiles({
      'shd/one': volfileOf('one', 1),
      'shd/two': volfileOf('two', 2),
    })
    const daemon = await daemonOf(server, scriptedDefinitions(seen, new Set(['two-client-3'])))
    expect(Number(readFileSync(join(scratch, 'one.pid'), 'utf8'))).toBe(process.pid)
    expect(seen.processes[0]).toMatchObject({ name: 'glustershd', clientPid: -6 })
    expect(seen.nodeUuids).toEqual(['U'])

    const pidFile = join(scratch, 'two.pid')
    const attach = new Dict().setString('pidfile', pidFile)
    expect(await ask('SVC_ATTACH', 'shd/two', Buffer.from('volume'), attach)).toMatchObject({
      ret: 0,
    })
    expect(existsSync(pidFile)).toBe(true)
    expect(await ask('SVC_ATTACH', 'shd/none', Buffer.from(''))).toMatchObject({ ret: -1 })
    const status = await ask('NODE_STATUS', '')
    expect([0, 1, 2].map(n => status.output.getString(`volume-${n}`))).toEqual([
      'one',
      'two',
      undefined,
    ])

    const state = (command: number, volume: string): Promise<{ ret: number; output: Dict }> =>
      ask('NODE_STATUS', volume, new Dict().setInt('cmd', command))
    const inodes = (await state(StatusCommand.INODE, 'shd/two')).output
    expect(inodes.getNumber('conn0.itable.active_size')).toBe(1)
    expect(inodes.getNumber('conncount')).toBe(0)
    // The question itself is a call that is not answered yet, and no news.
    expect(
      (await state(StatusCommand.CALLPOOL, 'shd/one')).output.getNumber('callpool.count'),
    ).toBe(0)
    const memory = (await state(StatusCommand.MEM, 'shd/one')).output
    expect(memory.getNumber('node.rss')).toBeGreaterThan(0)
    expect(await state(StatusCommand.MEM, 'shd/none')).toMatchObject({ ret: -1 })
    expect(await state(0x20, 'shd/one')).toMatchObject({ ret: -1, errstr: 'Invalid cmd' })

    const operate = (operation: number): Promise<{ ret: number; output: Dict }> => {
      const input = new Dict().setInt('xl-op', operation)
      return ask('XLATOR_OP', '', input.setInt('two-replicate-0', 0).setInt('two-replicate-1', 1))
    }
    await operate(HealOperation.INDEX)
    await operate(HealOperation.FULL)
    expect(seen.calls).toEqual([
      'two-replicate-0 index',
      'two-replicate-1 index',
      'two-replicate-0 full',
      'two-replicate-1 full',
    ])
    const counts = (await operate(HealOperation.COUNTS)).output
    expect(counts.getNumber('0-1-hardlinks')).toBe(1)
    expect(counts.getNumber('1-1-hardlinks')).toBeUndefined()
    expect(counts.getString('1-1-status')).toBe('Brick is not connected')
    const crawls = (await operate(HealOperation.STATISTICS)).output
    expect(crawls.getNumber('statistics-0-0-count')).toBe(1)
    expect(crawls.getNumber('statistics_inprogress-0-0-0')).toBe(1)
    expect(crawls.getNumber('statistics_healed_cnt-0-1-0')).toBe(1)
    expect(crawls.getString('statistics_strt_time-0-0-0')).toMatch(
      /^[A-Z][a-z]{2} Sep {2}[89] \d\d:\d\d:40 2001$/,
    )
    expect(await operate(99)).toMatchObject({ ret: -1, errstr: 'Invalid heal-op' })
    expect(await ask('XLATOR_DEFRAG', '')).toMatchObject({ ret: -1 })

    await ask('SVC_DETACH', 'shd/one')
    expect(existsSync(join(scratch, 'one.pid'))).toBe(false)
    expect(daemon.volumes.map(volume => volume.name)).toEqual(['two'])
    await ask('SVC_DETACH', 'shd/two')
    await daemon.stopped
    expect(existsSync(socket)).toBe(false)
  })

  it('does not start without a volfile', async () => {
    const server = await volfiles({})
    await expect(daemonOf(server)).rejects.toThrow(/shd\/one/)
  })

  it('takes a changed ping-timeout at once, and a changed shape', async () => {
    const seen: Seen = { calls: [], processes: [], nodeUuids: [] }
    const scripted = scriptedDefinitions(seen, new Set())
    const server = await volfiles({ 'shd/one': volfileOf('one', 1) })
    // The clients are real ones here: nobody is at their port, which does not matter.
    const daemon = await daemonOf(server, (volfile, log) => {
      const all = new Map(scripted(volfile, log))
      return all.set('protocol/client', realClient(volfile, log))
    })
    const timeouts = (): unknown[] =>
      [...(daemon.volumes[0]?.graph?.xlators() ?? [])]
        .filter(({ type }) => type === 'protocol/client')
        .map(({ xlator }) => xlator.dump?.()['pingTimeout'])
    expect(timeouts()).toEqual([42, 42])
    server.change('shd/one', volfileOf('one', 1, 7))
    await expect.poll(timeouts, { timeout: 5_000 }).toEqual([7, 7])
    server.change('shd/one', volfileOf('one', 2, 7))
    await expect.poll(timeouts, { timeout: 5_000 }).toEqual([7, 7, 7, 7])
    expect(daemon.volumes[0]?.healers.map(healer => healer.name)).toEqual([
      'one-replicate-0',
      'one-replicate-1',
    ])
  })
})

function realClient(volfile: Volfile, log: Log): AnyXlatorDefinition {
  const nodes = volfile.nodes.filter(node => node.type !== 'cluster/replicate')
  return definitionsFor({ nodes }, log).get('protocol/client') as AnyXlatorDefinition
}

describe('a heal session', () => {
  async function sessionOf(seen: Seen, down: readonly string[] = []): Promise<HealSession> {
    const server = await volfiles({ two: volfileOf('two', 2) })
    const session = new HealSession({
      env,
      volfileServers: [server.address],
      volume: 'two',
      definitions: scriptedDefinitions(seen, new Set(down)),
    })
    undo.push(() => session.stop())
    await session.start()
    return session
  }

  it('tells what is to be healed on every brick, in the order of the volume', async () => {
    const seen: Seen = { calls: [], processes: [], nodeUuids: [] }
    const session = await sessionOf(seen, ['two-client-2'])
    expect(seen.processes[0]).toMatchObject({ name: 'glfsheal', clientPid: -7 })
    const info = await session.info()
    expect(info.map(({ host, path }) => `${host}:${path}`)).toEqual(
      [0, 1, 2, 3].map(n => `server1:/bricks/${n}`),
    )
    expect(info[2]?.entries).toMatchObject({ errno: Errno.ENOTCONN })
    expect(info[3]?.entries).toMatchObject([{ path: '/two-replicate-1', reason: 'because' }])
  })

  it('lets the set decide that has the file, or the brick', async () => {
    const seen: Seen = { calls: [], processes: [], nodeUuids: [] }
    const session = await sessionOf(seen)
    expect(await session.resolve({ policy: 'bigger-file' }, '/f')).toMatchObject([
      { file: '/f', outcome: 'healed' },
    ])
    seen.calls.length = 0
    await session.resolve({ policy: 'source-brick', brick: 'server1:/bricks/3' }, undefined)
    expect(seen.calls).toEqual([
      'two-replicate-1 {"policy":"source-brick","brick":"two-client-3"} undefined',
    ])
    await expect(
      session.resolve({ policy: 'source-brick', brick: 'server1:/none' }, undefined),
    ).rejects.toThrow('No such brick available in the volume.')
  })

  it('does not know what a brick has noted that is down', async () => {
    const seen: Seen = { calls: [], processes: [], nodeUuids: [] }
    const session = await sessionOf(seen, ['two-client-2'])
    const policy = { policy: 'source-brick', brick: 'server1:/bricks/2' } as const
    await expect(session.resolve(policy, undefined)).rejects.toThrow(
      'Transport endpoint is not connected',
    )
    expect(seen.calls).toEqual([])
  })

  it('marks a brick as empty on its set', async () => {
    const seen: Seen = { calls: [], processes: [], nodeUuids: [] }
    const session = await sessionOf(seen)
    expect(await session.markEmpty(['two-client-1'])).toBeUndefined()
    expect(seen.calls).toEqual(['two-replicate-0 empty two-client-1'])
    await expect(session.markEmpty(['other'])).rejects.toThrow('no set has the brick other')
  })
})
