/** What processes tell of themselves, as text and in XML, beside what GlusterFS 10.3's CLI has printed. */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type {
  BrickStatusView,
  CallsView,
  DaemonStatusView,
  InodesView,
  MemoryView,
  VolumeProcesses,
} from '@ashlar/contract'
import { describe, expect, it } from 'vitest'
import { cliOutput, element } from '../xml.ts'
import { ALLOCATOR_MEMBERS, type ProcessType, processStateLines } from './process-text.ts'
import { statusElement } from './status-xml.ts'

interface Invocation {
  readonly argv?: readonly string[]
  readonly stdout: string
}

const recording = JSON.parse(
  gunzipSync(readFileSync(new URL('../../fixtures/cli.json.gz', import.meta.url))).toString(),
) as Invocation[]

function recorded(...words: readonly string[]): string[] {
  const command = `gluster ${words.join(' ')}`
  const found = recording.filter(({ argv }) => argv?.join(' ') === command)
  expect(found).not.toHaveLength(0)
  return found.map(({ stdout }) => stdout)
}

/** The brick of a recorded block, with what it tells. */
function brickOf(block: string, state: Partial<BrickStatusView>): BrickStatusView {
  const [, host, path] = /^Brick : ([^:]+):(.*)$/m.exec(block) as unknown as [
    string,
    string,
    string,
  ]
  return { host, path, peer: 'UUID', online: true, port: 49152, pid: 1, ...state }
}

function blocksOf(text: string): string[] {
  return text.split(/^-{46}\n/m).filter(block => block.startsWith('Brick'))
}

function volumeOf(bricks: BrickStatusView[], daemons: DaemonStatusView[] = []): VolumeProcesses {
  return { volume: 'rep3', bricks, daemons }
}

function text(answer: VolumeProcesses, type: ProcessType, ofDaemon = false): string {
  return `${processStateLines(answer, type, ofDaemon).join('\n')}\n`
}

function xml(answer: VolumeProcesses, type: ProcessType, daemon?: string): string {
  const words = { volume: 'rep3', brick: undefined, daemon, type }
  const volumes = element('volumes', [statusElement(answer, words)])
  return `${cliOutput({ ret: 0, errno: 0, message: '' }, [element('volStatus', [volumes])])}\n`
}

/** The element of that name in a document, with its indentation. */
function elementIn(document: string, name: string): string {
  return new RegExp(`<${name}>[^]*</${name}>`).exec(document)?.[0] ?? ''
}

const node = { rss: 6, heapTotal: 5, heapUsed: 4, external: 3, arrayBuffers: 2 }

/** The numbers that `pattern` finds, by their lower-case names. */
function numbersIn(block: string, pattern: RegExp): Record<string, number> {
  const found = [...block.matchAll(pattern)]
  return Object.fromEntries(
    found.map(([, name, value]) => [(name as string).toLowerCase(), Number(value)]),
  )
}

function memoryOf(block: string, pattern: RegExp): MemoryView {
  return { mallinfo: numbersIn(block, pattern) as unknown as MemoryView['mallinfo'], node }
}

function inodesOf(block: string): InodesView {
  const size = (name: string): number =>
    Number(new RegExp(`^${name} *: (\\d+)$`, 'm').exec(block)?.[1])
  const list = (name: string): { size: number; listed: [] } => ({ size: size(name), listed: [] })
  return {
    connections: block.match(/^Connection/gm)?.length ?? 0,
    table: {
      lruLimit: size('LRU limit'),
      active: list('Active Inodes'),
      lru: list('LRU Inodes'),
      purge: list('Purge Inodes'),
    },
  }
}

/** GlusterFS's bricks know a call's frames and do not tell of them. */
function callsOf(block: string): CallsView {
  const stacks = [
    ...block.matchAll(/ UID {4}: (\d+)\n GID {4}: (\d+)\n PID {4}: (\d+)\n Unique : (\d+)/g),
  ]
  return {
    count: Number(/^Pending calls: (\d+)$/m.exec(block)?.[1]),
    listed: stacks.map(stack => {
      const [uid, gid, pid, unique] = stack.slice(1).map(Number) as [number, number, number, number]
      return { client: null, uid, gid, pid, unique, translator: null, call: null }
    }),
  }
}

describe('as recorded', () => {
  it('memory, as text', () => {
    for (const stdout of recorded('volume', 'status', 'rep3', 'mem')) {
      const bricks = blocksOf(stdout).map(block =>
        brickOf(block, { memory: memoryOf(block, /^(\w+) *: (\d+)$/gm) }),
      )
      expect(bricks).toHaveLength(3)
      expect(text(volumeOf(bricks), 'mem')).toBe(stdout)
    }
  })

  it('memory, in XML', () => {
    const [stdout = ''] = recorded('--xml', 'volume', 'status', 'rep3', 'mem')
    const told = elementIn(stdout, 'memStatus')
    const memory = memoryOf(told, /<(\w+)>(\d+)</g)
    expect(memory.mallinfo?.arena).toBeGreaterThan(0)
    const brick = { host: 'h', path: '/b', peer: 'UUID', online: true, port: 1, pid: 1, memory }
    expect(xml(volumeOf([brick]), 'mem')).toContain(told)
  })

  it('inodes, as text', () => {
    for (const stdout of recorded('volume', 'status', 'rep3', 'inode')) {
      const bricks = blocksOf(stdout).map(block => brickOf(block, { inodes: inodesOf(block) }))
      expect(bricks.map(brick => brick.inodes?.connections)).toEqual([128, 128, 128])
      expect(text(volumeOf(bricks), 'inode')).toBe(stdout)
    }
  })

  it('no open files, as text and in XML', () => {
    const [stdout = ''] = recorded('volume', 'status', 'rep3', 'fd')
    const bricks = blocksOf(stdout).map(block => brickOf(block, { fds: [] }))
    expect(text(volumeOf(bricks), 'fd')).toBe(stdout)
    const [document = ''] = recorded('--xml', 'volume', 'status', 'rep3', 'fd')
    const same = (words: string): string =>
      words.replace(/<(peerid|port|tcp|pid)>[^<]*</g, '<$1>X<')
    expect(same(xml(volumeOf(bricks), 'fd'))).toBe(same(document))
  })

  it('calls, as text', () => {
    for (const stdout of recorded('volume', 'status', 'rep3', 'callpool')) {
      const bricks = blocksOf(stdout).map(block => brickOf(block, { calls: callsOf(block) }))
      expect(bricks.map(brick => brick.calls?.listed.length)).toEqual([1, 1, 1])
      expect(text(volumeOf(bricks), 'callpool')).toBe(stdout)
    }
  })

  it('calls, in XML', () => {
    const [stdout = ''] = recorded('--xml', 'volume', 'status', 'rep3', 'callpool')
    const told = elementIn(stdout, 'callpoolStatus')
    const tell = numbersIn(told, /<(\w+)>(\d+)</g)
    const unique = tell['unique'] as number
    const caller = { client: null, uid: 0, gid: 0, pid: 0, unique }
    const calls = { count: 1, listed: [{ ...caller, translator: null, call: null }] }
    const brick = { host: 'h', path: '/b', peer: 'UUID', online: true, port: 1, pid: 1, calls }
    expect(xml(volumeOf([brick]), 'callpool')).toContain(told)
  })
})

// The forms of inodes and open files are those that its command line gives to what our bricks tell.
describe('what GlusterFS 10.3 has no recording of', () => {
  const brick = { host: 'h', path: '/b', peer: 'UUID', online: true, port: 1, pid: 1 }
  const offline = { ...brick, online: false, port: null, pid: null }
  const table = {
    client: 'h:1',
    name: 'fuse',
    references: 1,
    max: 64,
    firstFree: 1,
    open: 3,
    listed: [{ number: 0, pid: 77, references: 2, flags: 32770 }],
  }

  it.each(['mem', 'inode', 'fd', 'callpool'] as const)('%s of bricks that tell nothing', type => {
    const lines = processStateLines(volumeOf([offline, brick]), type, false)
    const rule = '-'.repeat(46)
    expect(lines.slice(1)).toEqual([
      rule,
      'Brick : h:/b',
      'Brick is offline',
      rule,
      'Brick : h:/b',
      'Brick does not answer',
      rule,
      ...(type === 'mem' ? [''] : []),
    ])
    expect(xml(volumeOf([offline]), type)).toContain('<pid>-1</pid>\n        </node>')
  })

  it('open files', () => {
    const idle = { ...table, firstFree: 0, open: 0, listed: [] }
    const answer = volumeOf([{ ...brick, fds: [idle, table] }])
    expect(processStateLines(answer, 'fd', false).slice(3, -1)).toEqual([
      'Connection 1:',
      'RefCount = 1  MaxFDs = 64  FirstFree = 0',
      'No open fds',
      ' ',
      'Connection 2:',
      'RefCount = 1  MaxFDs = 64  FirstFree = 1',
      'FD Entry            PID                 RefCount            Flags              ',
      '--------            ---                 --------            -----              ',
      '0                   77                  2                   32770              ',
      '(and 2 more)',
      ' ',
    ])
    expect(xml(answer, 'fd').replaceAll(/\s+/g, '')).toContain(
      '<connection><fdTable><refCount>1</refCount><maxFds>64</maxFds><firstFree>1</firstFree>' +
        '<openFds>3</openFds><fd><entry>1</entry><pid>77</pid><refCount>2</refCount>' +
        '<flags>32770</flags></fd></fdTable></connection></fdStatus>',
    )
  })

  it('calls, with where they wait', () => {
    const caller = { client: 'h:1', uid: 1000, gid: 100, pid: 77, unique: 9 }
    const listed = [{ ...caller, translator: 'rep3-server', call: '/b->lk' }]
    const answer = volumeOf([{ ...brick, calls: { count: 3, listed } }])
    expect(processStateLines(answer, 'callpool', false).slice(3, -1)).toEqual([
      'Pending calls: 3',
      'Call Stack1',
      ' UID    : 1000',
      ' GID    : 100',
      ' PID    : 77',
      ' Unique : 9',
      ' Frames : 1',
      ' Frame 1',
      '  Translator  = rep3-server',
      '  Completed   = No',
      '  Wind To     = /b->lk',
      ' ',
      '(and 2 more)',
    ])
    expect(xml(answer, 'callpool').replaceAll(/\s+/g, '')).toContain(
      '<frameCount>1</frameCount><callFrame><translator>rep3-server</translator>' +
        '<complete>0</complete><windTo>/b-&gt;lk</windTo></callFrame></callStack>',
    )
  })

  it('inodes in XML, with those that are listed', () => {
    expect(
      text(volumeOf([{ ...brick, inodes: inodesOf('Connection 1:') }]), 'inode'),
    ).not.toContain('Connection')
    const listed = [{ gfid: 'G', lookups: 3, references: 2, type: 1 }]
    const none = { size: 0, listed: [] }
    const inodes = {
      connections: 2,
      table: { lruLimit: 9, active: { size: 5, listed }, lru: none, purge: none },
    }
    expect(xml(volumeOf([{ ...brick, inodes }]), 'inode').replaceAll(/\s+/g, '')).toContain(
      '<inodeStatus><connections>2</connections><connection><activeSize>5</activeSize><active>' +
        '<inode><gfid>G</gfid><nLookup>3</nLookup><ref>2</ref><iaType>1</iaType></inode></active>' +
        '<lruSize>0</lruSize><purgeSize>0</purgeSize></connection><connection/></inodeStatus>',
    )
  })

  it('memory where the C library does not tell', () => {
    const answer = volumeOf([{ ...brick, memory: { mallinfo: null, node } }])
    const lines = processStateLines(answer, 'mem', false)
    expect(lines.slice(3, 3 + 2 + ALLOCATOR_MEMBERS.length)).toEqual([
      'Mallinfo',
      '--------',
      ...ALLOCATOR_MEMBERS.map(
        member => `${(member[0]?.toUpperCase() + member.slice(1)).padEnd(8)} : N/A`,
      ),
    ])
    expect(xml(answer, 'mem')).toContain('<mallinfo/>')
  })

  // As a session of GlusterFS 10.3 had it, in which the daemon's document ended after its path.
  it('the self-heal daemon', () => {
    const none = { size: 0, listed: [] }
    const inodes = {
      connections: 0,
      table: { lruLimit: 1, active: { size: 1, listed: [] }, lru: none, purge: none },
    }
    const daemon = { host: 'localhost', peer: 'UUID', online: true, pid: 7, inodes }
    const answer = volumeOf([], [{ kind: 'selfHeal', ...daemon }])
    expect(processStateLines(answer, 'inode', true)).toEqual([
      'Inode tables for volume rep3',
      '-'.repeat(46),
      'Self-heal Daemon : UUID',
      'LRU limit     : 1',
      'Active Inodes : 1',
      'LRU Inodes    : 0',
      'Purge Inodes  : 0',
      ' ',
      '-'.repeat(46),
    ])
    const document = xml(answer, 'inode', 'shd').replaceAll(/\s+/g, '')
    expect(document).toContain('<node><hostname>Self-healDaemon</hostname><path>UUID</path>')
    expect(document).toContain('<connections>0</connections><connection><activeSize>1</activeSize>')
  })

  it('bricks, when it is NFS servers that are asked for', () => {
    const lines = processStateLines(volumeOf([offline]), 'callpool', true)
    expect(lines.slice(2, 4)).toEqual(['h : /b', 'h is offline'])
  })
})
