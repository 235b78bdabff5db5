/**
 * Replicated volumes in glusterd: its self-heal daemon through all changes of volumes, and bricks
 * that come, go and are replaced. Processes are entries in a table.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Errno, failure, ROOT_GFID, silentLog, systemClock, systemRandom } from '@ashlar/core'
import { PretendedHealer } from '@ashlar/testkit'
import { tcpNetwork } from '@ashlar/transport'
import type { BrickHealInfo, Healer, HealEntry } from '@ashlar/xlators'
import { afterEach, describe, expect, it } from 'vitest'
import type { Launcher, ProcessSpec } from './bricks/launcher.ts'
import { Glusterd } from './daemon.ts'
import type { HealProgram, HealQuestion } from './heal/program.ts'
import { resolveSettings, type Settings } from './settings.ts'

const env = {
  clock: systemClock,
  random: systemRandom(),
  network: tcpNetwork(),
  log: silentLog,
}

const HEALER_PID = 5000
/** The daemon is looked after every second. */
const WATCH_MS_MAX = 10_000

/** Bricks sign in as soon as they are launched; the self-heal daemon answers on its socket. */
class Processes implements Launcher {
  readonly bricks = new Map<string, number>()
  readonly launched: ProcessSpec[] = []
  healer: PretendedHealer | undefined
  /** What the daemon has. */
  healers: readonly Healer[] = []
  #healerWords: readonly string[] = []
  signIn: (spec: ProcessSpec) => void = () => {}

  async launch(spec: ProcessSpec): Promise<void> {
    this.launched.push(spec)
    if (spec.program === 'client') {
      this.#healerWords = spec.words
      this.healer = new PretendedHealer(spec, () => this.healers)
      return this.healer.listen()
    }
    this.bricks.set(spec.sign, 100 + this.launched.length)
    this.signIn(spec)
  }

  running(spec: ProcessSpec): number | undefined {
    if (spec.program === 'brick') return this.bricks.get(spec.sign)
    return this.healer?.has(spec.pidFile) === true ? HEALER_PID : undefined
  }

  commandLine(): readonly string[] {
    return this.#healerWords
  }

  signal(pid: number): boolean {
    if (pid === HEALER_PID) void this.loseHealer()
    for (const [path, each] of this.bricks) if (each === pid) this.bricks.delete(path)
    return true
  }

  async loseHealer(): Promise<void> {
    const { healer } = this
    this.healer = undefined
    await healer?.close()
  }

  get daemons(): number {
    return this.launched.filter(spec => spec.program === 'client').length
  }
}

/** Notes what it was asked; fails when it shall. */
class Questions implements HealProgram {
  readonly asked: HealQuestion[] = []
  failing = false
  during: () => void = () => {}
  answer: unknown = {}

  run(_volume: string, question: HealQuestion): Promise<unknown> {
    this.asked.push(question)
    this.during()
    return this.failing
      ? Promise.reject(new Error('no brick is there'))
      : Promise.resolve(this.answer)
  }
}

class House {
  readonly scratch = mkdtempSync(join(tmpdir(), 'ashlar-replicated-'))
  readonly processes = new Processes()
  readonly questions = new Questions()
  daemon!: Glusterd

  get settings(): Settings {
    return resolveSettings(
      {
        workDirectory: join(this.scratch, 'lib'),
        runDirectory: join(this.scratch, 'run'),
        logDirectory: join(this.scratch, 'log'),
        port: 0,
        bindAddress: '127.0.0.1',
        apiSocket: join(this.scratch, 'api.sock'),
        hostnames: ['server1'],
        rootPath: '/proc',
      },
      {},
      '/nonexistent/glusterfsd',
    )
  }

  async start(): Promise<void> {
    this.daemon = await Glusterd.start({
      settings: this.settings,
      env,
      launcher: this.processes,
      healProgram: this.questions,
    })
    const { portmap } = this.daemon
    this.processes.signIn = spec => {
      const port = Number(spec.words[spec.words.indexOf('--brick-port') + 1])
      portmap.signIn(spec.sign, port, 1, undefined)
    }
    await this.daemon.adopted
  }

  place(name: string): { host: string; path: string } {
    return { host: 'server1', path: join(this.scratch, name) }
  }

  async volume(name: string, bricks: readonly string[], replica?: number): Promise<void> {
    const { manager } = this.daemon
    const places = bricks.map(brick => this.place(brick))
    const shape = replica === undefined ? {} : { replica }
    await manager.create({ name, bricks: places, force: true, ...shape })
    await manager.start(name, false)
  }

  /** The daemon's rows in `volume status`. */
  async rows(name: string): Promise<boolean[]> {
    const { daemons } = await this.daemon.manager.status(name, {})
    return daemons.map(daemon => daemon.online)
  }

  /** Names of bricks and the identities that they have in volfiles. */
  bricks(name: string): string[] {
    const text = this.daemon.manager.volfile(name)
    const nodes = [...text.matchAll(/^volume (\S+-client-\d+)\n[^]*?remote-subvolume (\S+)/gm)]
    return nodes.map(
      ([, id, path]) =>
        `${id?.replace(`${name}-client-`, '')} ${path?.slice(this.scratch.length + 1)}`,
    )
  }
}

let house: House
afterEach(async () => {
  await house.daemon.stop()
  await house.processes.loseHealer()
  rmSync(house.scratch, { recursive: true, force: true })
})

async function houseAt(): Promise<Glusterd['manager']> {
  house = new House()
  await house.start()
  return house.daemon.manager
}

describe('the self-heal daemon', () => {
  it('runs as long as a started volume needs it, once for all of them', async () => {
    const manager = await houseAt()
    const { processes } = house
    await house.volume('dist', ['d1', 'd2'])
    expect(processes.daemons).toBe(0)
    expect(await house.rows('dist')).toEqual([])

    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    const [spec] = processes.launched.filter(each => each.program === 'client')
    const { runDirectory, logDirectory } = house.settings
    expect(spec?.words.join(' ')).toMatch(
      new RegExp(
        `^-s 127.0.0.1 --volfile-server-port 0 --volfile-id shd/one -p ${runDirectory}/shd/one/` +
          `one-shd.pid -l ${logDirectory}/glustershd.log -S ${runDirectory}/[0-9a-f]+.socket ` +
          '--xlator-option \\*replicate\\*.node-uuid=[0-9a-f-]{36} --process-name glustershd ' +
          '--client-pid=-6$',
      ),
    )
    await house.volume('two', ['b1', 'b2'], 2)
    expect(processes.daemons).toBe(1)
    expect(processes.healer?.volumes).toEqual(['one', 'two'])
    expect(await house.rows('two')).toEqual([true])

    await manager.set('one', [{ key: 'cluster.self-heal-daemon', value: 'off' }])
    expect(processes.healer?.volumes).toEqual(['two'])
    expect(await house.rows('one')).toEqual([])
    await expect(manager.status('one', { daemon: 'selfHeal' })).rejects.toMatchObject({
      message: 'Self-heal Daemon is disabled for volume one',
    })
    await manager.stop('two')
    expect(processes.healer).toBeUndefined()
    await manager.reset('one', 'cluster.self-heal-daemon', false)
    expect(processes.healer?.volumes).toEqual(['one'])
  })

  it('tells how it is, and nothing when it does not run', async () => {
    await houseAt()
    const { manager } = house.daemon
    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    const { bricks, daemons } = await manager.status('one', {
      daemon: 'selfHeal',
      detail: 'memory',
    })
    expect(bricks).toEqual([])
    expect(daemons[0]?.memory?.node?.rss).toBeGreaterThan(0)
    const calls = await manager.status('one', { daemon: 'selfHeal', detail: 'calls' })
    expect(calls.daemons[0]?.calls).toEqual({ count: 0, listed: [] })
    // These bricks are online, and have no socket to answer on.
    const silent = await manager.status('one', { detail: 'inodes' })
    expect(silent.bricks.map(({ online, inodes }) => [online, inodes])).toEqual(
      Array.from({ length: 3 }, () => [true, undefined]),
    )
    expect(silent.daemons[0]?.inodes).toBeUndefined()

    await house.processes.loseHealer()
    await expect(
      manager.status('one', { daemon: 'selfHeal', detail: 'inodes' }),
    ).rejects.toMatchObject({
      code: 'HEAL_UNAVAILABLE',
      message: 'Unable to obtain volume status information.',
    })
  })

  it('is started again when it dies, and found again by the next glusterd', async () => {
    await houseAt()
    const { processes } = house
    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    await processes.loseHealer()
    expect(await house.rows('one')).toEqual([false])
    await expect.poll(() => processes.daemons, { timeout: WATCH_MS_MAX }).toBe(2)
    expect(await house.rows('one')).toEqual([true])

    await house.daemon.stop()
    await house.start()
    expect(processes.daemons).toBe(2)
    expect(await house.rows('one')).toEqual([true])
    await house.daemon.stop()
    await processes.loseHealer()
    await house.start()
    expect(processes.daemons).toBe(3)
  })

  it('is asked only for volumes that it looks after', async () => {
    const manager = await houseAt()
    await house.volume('dist', ['d1'])
    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    await manager.heal.launch('one', 'index')
    await expect(manager.heal.launch('dist', 'full')).rejects.toMatchObject({
      code: 'HEAL_UNAVAILABLE',
      message: 'Self-heal-daemon is disabled. Heal will not be triggered on volume dist',
    })
    await manager.heal.change('one', { enabled: false })
    await expect(manager.heal.launch('one', 'index')).rejects.toMatchObject({
      message: 'Self-heal-daemon is disabled. Heal will not be triggered on volume one',
    })
    await manager.heal.change('one', { enabled: true })
    await house.processes.loseHealer()
    await expect(manager.heal.launch('one', 'index')).rejects.toMatchObject({
      message: 'Self-heal daemon is not running. Check self-heal daemon log file.',
    })
  })
})

describe('switches of healing', () => {
  // They were refused.
  it('can be changed while the volume is stopped', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2'], 2)
    await manager.stop('one')
    await manager.heal.change('one', { enabled: false })
    await manager.heal.change('one', { granular: false })
    await expect(manager.heal.change('one', { granular: true })).rejects.toThrow(
      'one: Not able to fetch volfile from glusterd',
    )
    expect(manager.volume('one').options.slice(0, 2)).toEqual([
      { key: 'cluster.self-heal-daemon', value: 'disable' },
      { key: 'cluster.granular-entry-heal', value: 'disable' },
    ])
  })

  it('are not those of volumes without copies', async () => {
    const manager = await houseAt()
    await house.volume('dist', ['d1'])
    for (const settings of [{ enabled: true }, { enabled: false }, { granular: false }]) {
      await expect(manager.heal.change('dist', settings)).rejects.toThrow('operation failed')
    }
    const noCopies =
      'This command is supported for only volumes of replicate type. ' +
      'Volume dist is not of type replicate'
    await expect(manager.heal.change('dist', { granular: true })).rejects.toThrow(noCopies)
    await expect(manager.heal.info('dist', true, 'split-brain')).rejects.toThrow(noCopies)
    const request = { policy: 'latest-mtime', file: '/f' } as const
    await expect(manager.heal.resolve('dist', request)).rejects.toThrow(noCopies)
  })
})

describe('a split-brain', () => {
  // `d4` was taken for `/d4`, and was healed.
  it.each([
    { policy: 'bigger-file', file: 'd4' },
    { policy: 'latest-mtime', file: './d4' },
    { policy: 'source-brick', brick: 'server1:/b', file: 'd4' },
  ] as const)('of a file without a slash is not touched: $policy', async request => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2'], 2)
    await expect(manager.heal.resolve('one', request)).rejects.toThrow(
      "<FILE> must be absolute path w.r.t. the volume, starting with '/'",
    )
    expect(house.questions.asked).toEqual([])
  })
})

describe('what is to be healed', () => {
  const entry: HealEntry = {
    gfid: ROOT_GFID,
    path: '/',
    state: 'pending',
    reason: 'the last heal: no space left',
    age: 7,
  }

  /** Of one set of two bricks; the second has `second`. */
  function healer(second: BrickHealInfo['entries'], count = 1): Healer {
    return {
      name: 'one-replicate-0',
      counts: () => Promise.resolve([0, count]),
      info: ({ paths = true } = {}) =>
        Promise.resolve([
          { brick: 'one-client-0', entries: [] },
          {
            brick: 'one-client-1',
            entries: 'errno' in second || paths ? second : [{ ...entry, path: undefined }],
          },
        ]),
    } as unknown as Healer
  }

  async function asked(): Promise<Glusterd['manager']> {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2'], 2)
    const [one, two] = ['a1', 'a2'].map(name => ({ ...house.place(name), connected: true }))
    house.questions.answer = {
      bricks: [one, two].map(brick => ({ ...brick, status: 'Connected', entries: [] })),
    }
    return manager
  }

  it('is told by the daemon, which knows what its heals met', async () => {
    const manager = await asked()
    house.processes.healers = [healer([entry])]
    const { bricks } = await manager.heal.info('one')
    expect(bricks).toMatchObject([
      { ...house.place('a1'), connected: true, entries: [] },
      {
        ...house.place('a2'),
        status: 'Connected',
        entries: [{ ...entry, gfid: '00000000-0000-0000-0000-000000000001' }],
      },
    ])
    expect(bricks[0]?.peer).not.toBe('')
    const split = await manager.heal.info('one', true, 'split-brain')
    expect(split.bricks.map(({ entries }) => entries)).toEqual([[], []])
    const counted = await manager.heal.info('one', false)
    expect(counted.bricks[1]?.entries).toMatchObject([{ path: null }])
    expect(house.questions.asked).toEqual([])
  })

  it('names bricks as people know them', async () => {
    const manager = await asked()
    const reason = 'one-client-1, one-client-9 missed changes that one-client-0 has'
    house.processes.healers = [healer([{ ...entry, reason }])]
    const { bricks } = await manager.heal.info('one')
    const [first, second] = ['a1', 'a2'].map(name => `server1:${house.place(name).path}`)
    expect(bricks[1]?.entries[0]?.reason).toBe(
      `${second}, one-client-9 missed changes that ${first} has`,
    )
  })

  it('is told by the daemon also while a brick is down', async () => {
    const manager = await asked()
    house.processes.healers = [healer(failure(Errno.ENOTCONN))]
    house.processes.bricks.delete(house.place('a2').path)
    const { bricks } = await manager.heal.info('one')
    expect(bricks[1]).toMatchObject({ connected: false, entries: [] })
    expect(bricks[1]?.status).not.toBe('')
    expect(house.questions.asked).toEqual([])
  })

  it.each([
    ['does not run', () => house.processes.loseHealer()],
    ['does not look after it', () => (house.processes.healers = [])],
    ['misses a brick', () => (house.processes.healers = [healer(failure(Errno.ENOTCONN))])],
    ['has too much to tell', () => (house.processes.healers = [healer([entry], 20_001)])],
  ])('is looked at by a process of its own when the daemon %s', async (_why, change) => {
    const manager = await asked()
    house.processes.healers = [healer([entry])]
    await change()
    expect((await manager.heal.info('one')).bricks[1]?.entries).toEqual([])
    expect(house.questions.asked).toEqual([{ kind: 'info', paths: true }])
  })
})

describe('bricks of a replicated volume', () => {
  it('more copies stand behind those of their set, and are marked before anybody hears', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2', 'b1', 'b2'], 2)
    await manager.bricks.add('one', {
      bricks: [house.place('a3'), house.place('b3')],
      replica: 3,
      force: true,
    })
    expect(house.bricks('one')).toEqual(['0 a1', '1 a2', '4 a3', '2 b1', '3 b2', '5 b3'])
    expect(house.questions.asked).toEqual([
      { kind: 'mark-empty', bricks: ['one-client-4', 'one-client-5'] },
    ])
    expect(manager.volume('one')).toMatchObject({ replicaCount: 3, distributeCount: 2 })

    await manager.bricks.remove('one', {
      bricks: [house.place('b1'), house.place('a2')],
      replica: 2,
      step: 'force',
    })
    expect(house.bricks('one')).toEqual(['0 a1', '4 a3', '3 b2', '5 b3'])
    expect([...house.processes.bricks.keys()].map(path => path.slice(-2)).sort()).toEqual([
      'a1',
      'a3',
      'b2',
      'b3',
    ])
    await manager.bricks.add('one', { bricks: [house.place('c1'), house.place('c2')], force: true })
    expect(house.bricks('one').slice(4)).toEqual(['6 c1', '7 c2'])
    expect(house.questions.asked).toHaveLength(1)
    await manager.bricks.remove('one', {
      bricks: [house.place('c1'), house.place('c2')],
      step: 'force',
    })
    expect(manager.volume('one').distributeCount).toBe(2)
  })

  it('a distributed volume becomes a replicated one and is looked after, and back', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1'])
    await manager.bricks.add('one', { bricks: [house.place('a2')], replica: 2, force: true })
    const grown = manager.volume('one')
    expect(grown).toMatchObject({ kind: 'replicate', replicaCount: 2 })
    expect(grown.options).toContainEqual({ key: 'performance.client-io-threads', value: 'off' })
    expect(house.processes.healer?.volumes).toEqual(['one'])
    await manager.bricks.remove('one', { bricks: [house.place('a1')], replica: 1, step: 'force' })
    expect(manager.volume('one')).toMatchObject({ kind: 'distribute', replicaCount: 1 })
    expect(house.processes.healer).toBeUndefined()
    expect(house.bricks('one')).toEqual(['1 a2'])
  })

  it('a third brick may be an arbiter', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2'], 2)
    await manager.bricks.add('one', {
      bricks: [house.place('a3')],
      replica: 3,
      arbiter: 1,
      force: true,
    })
    expect(manager.volume('one').bricks.map(brick => brick.arbiter)).toEqual([false, false, true])
    const refused = manager.bricks.remove('one', {
      bricks: [house.place('a1')],
      replica: 2,
      step: 'force',
    })
    await expect(refused).rejects.toMatchObject({
      message: 'Remove arbiter brick(s) only when converting from arbiter to replica 2 subvolume.',
    })
    await manager.bricks.remove('one', { bricks: [house.place('a3')], replica: 2, step: 'force' })
    expect(manager.volume('one')).toMatchObject({ replicaCount: 2, arbiterCount: 0 })
  })

  it('a brick that takes another’s place inherits its identity and port', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    const port = house.daemon.portmap.port(house.place('a2').path)
    const heard: string[][] = []
    house.questions.during = () => heard.push(house.bricks('one'))
    await manager.bricks.replace('one', {
      brick: house.place('a2'),
      replacement: house.place('new'),
    })
    expect(house.bricks('one')).toEqual(['0 a1', '1 new', '2 a3'])
    expect(heard).toEqual([['0 a1', '1 new', '2 a3']])
    expect(house.daemon.portmap.port(house.place('new').path)).toBe(port)
    expect(house.daemon.portmap.port(house.place('a2').path)).toBeUndefined()
    expect(house.questions.asked).toEqual([{ kind: 'mark-empty', bricks: ['one-client-1'] }])
  })

  it('all is as before when the new brick cannot be marked', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    house.questions.failing = true
    const change = { brick: house.place('a2'), replacement: house.place('new') }
    await expect(manager.bricks.replace('one', change)).rejects.toThrow('no brick is there')
    expect(house.bricks('one')).toEqual(['0 a1', '1 a2', '2 a3'])
    const { bricks } = await manager.status('one', {})
    expect(bricks.map(brick => brick.online)).toEqual([true, true, true])
    expect(existsSync(change.replacement.path)).toBe(false)
    const more = { bricks: [house.place('a4')], replica: 4, force: true }
    await expect(manager.bricks.add('one', more)).rejects.toThrow('no brick is there')
    expect(manager.volume('one').replicaCount).toBe(3)
    expect(house.bricks('one')).toEqual(['0 a1', '1 a2', '2 a3'])
    house.questions.failing = false
    await manager.bricks.replace('one', change)
  })

  it('a brick that is reset comes back as an empty one', async () => {
    const manager = await houseAt()
    await house.volume('one', ['a1', 'a2', 'a3'], 3)
    const brick = house.place('a2')
    const commit = { brick, replacement: brick, step: 'commit', force: true } as const
    for (const force of [true, false]) {
      await expect(manager.bricks.reset('one', { ...commit, force })).rejects.toThrow(
        /must be stopped/,
      )
    }
    await manager.bricks.reset('one', { brick, step: 'start' })
    expect(house.processes.bricks.has(brick.path)).toBe(false)
    await expect(
      manager.bricks.reset('one', { ...commit, replacement: house.place('x') }),
    ).rejects.toThrow(/replace-brick/)
    rmSync(brick.path, { recursive: true })
    await manager.bricks.reset('one', commit)
    expect(existsSync(join(brick.path, '.glusterfs'))).toBe(true)
    expect(house.questions.asked).toEqual([{ kind: 'mark-empty', bricks: ['one-client-1'] }])
    const { bricks } = await manager.status('one', {})
    expect(bricks.map(each => each.online)).toEqual([true, true, true])
  })

  it('is reset where there are no other copies, too', async () => {
    const manager = await houseAt()
    await house.volume('dist', ['d1', 'd2'])
    const brick = house.place('d2')
    await manager.bricks.reset('dist', { brick, step: 'start' })
    expect(house.processes.bricks.has(brick.path)).toBe(false)
    await manager.bricks.reset('dist', { brick, replacement: brick, step: 'commit', force: true })
    expect(house.processes.bricks.has(brick.path)).toBe(true)
    expect(house.questions.asked).toEqual([])
  })
})

describe('changes that do not fit', () => {
  it('are refused with the words of GlusterFS', async () => {
    const manager = await houseAt()
    await house.volume('dist', ['d1', 'd2'])
    await house.volume('one', ['a1', 'a2', 'b1', 'b2'], 2)
    await house.volume('single', ['c1', 'c2'], 2)
    const added = (name: string, bricks: string[], replica?: number) =>
      manager.bricks.add(name, {
        bricks: bricks.map(brick => house.place(brick)),
        force: true,
        ...(replica === undefined ? {} : { replica }),
      })
    const removed = (name: string, bricks: string[], replica?: number, step = 'force') =>
      manager.bricks.remove(name, {
        bricks: bricks.map(brick => house.place(brick)),
        step: step as 'force',
        ...(replica === undefined ? {} : { replica }),
      })
    const cases: [() => Promise<unknown>, string][] = [
      [() => added('none', ['x']), 'Unable to get volinfo for volume name none'],
      [() => added('one', ['x']), 'Incorrect number of bricks supplied 1 with count 2'],
      [
        () => added('one', ['x'], 3),
        'Incorrect number of bricks (1) supplied for replica count (3).',
      ],
      [() => removed('none', ['x']), 'Volume none does not exist'],
      [() => removed('one', ['a1']), 'Remove brick incorrect brick count of 1 for replica 2'],
      [
        () => removed('single', ['c1']),
        'Removing bricks from replicate configuration is not allowed without reducing replica ' +
          'count explicitly.',
      ],
      [
        () => removed('one', ['a1', 'x']),
        `Incorrect brick server1:${house.place('x').path} for volume one`,
      ],
      [() => removed('one', ['a1', 'b1']), 'Bricks not from same subvol for replica'],
      [() => removed('one', ['a1', 'a2'], 1), 'Remove exactly 1 brick(s) from each subvolume.'],
      [
        () => removed('one', ['a1'], 1),
        'need 2(xN) bricks for reducing replica count of the volume from 2 to 1',
      ],
      [
        () => removed('one', ['a1'], 3),
        "given replica count (3) option is more than volume one's replica count (2)",
      ],
      [
        () => removed('dist', ['d1'], 2),
        'replica count (2) option given for non replicate volume dist',
      ],
      [
        () => removed('one', ['a1', 'a2', 'b1', 'b2']),
        'Deleting all the bricks of the volume is not allowed',
      ],
      [
        () => removed('one', ['a1', 'b1'], 1, 'start'),
        "Migration of data is not needed when reducing replica count. Use the 'force' option",
      ],
    ]
    for (const [action, message] of cases) await expect(action()).rejects.toThrow(message)

    house.processes.signal(house.processes.bricks.get(house.place('a1').path) as number)
    await expect(added('one', ['x', 'y'], 3)).rejects.toThrow(/a1 is down, changing replica count/)
    await manager.stop('one')
    await expect(added('one', ['x', 'y'], 3)).rejects.toThrow(/must not be in stopped state/)
  })
})
