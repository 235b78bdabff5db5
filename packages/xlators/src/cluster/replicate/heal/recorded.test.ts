/**
 * What GlusterFS 10.3 was recorded to do: bricks as they are when one of them comes back after an
 * outage, and as they are when the self-heal daemon has finished. Ours must end in the same state.
 */

import { readFileSync } from 'node:fs'
import { defineXlator, Dict, type Gfid, gfidText, SetAttr } from '@ashlar/core'
import { BrickSet, good, type TestVolume, until } from '@ashlar/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import { arbiter } from '../../../features/arbiter/index.ts'
import type { Resolution } from '../healer.ts'
import { only } from '../members.ts'
import { replicateOptions } from '../options.ts'
import { ReplicaSet } from '../replica-set.ts'
import { makeHealer, type SetHealer } from './index.ts'

interface RecordedFile {
  readonly mode: string
  readonly uid: number
  readonly size: number | null
  readonly gfid: string
  readonly afr: Readonly<Record<string, string>>
  readonly user: Readonly<Record<string, string>>
}

interface RecordedBrick {
  readonly paths: Readonly<Record<string, RecordedFile>>
  readonly xattrop: readonly string[]
  readonly entryChanges: Readonly<Record<string, readonly string[]>>
}

interface RecordedHeal {
  readonly killed: number
  readonly before: readonly RecordedBrick[]
  readonly after: readonly RecordedBrick[]
}

interface RecordedSplit {
  readonly before: readonly RecordedBrick[]
  readonly after: readonly RecordedBrick[]
  readonly commands: readonly { readonly words: readonly string[]; readonly stdout: string }[]
  readonly heal_info: string
  readonly info_before: string
}

function fixture<T>(name: string): Record<string, T> {
  const url = new URL(`fixtures/${name}.json`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as Record<string, T>
}

const ANONYMOUS = 'f3663609-b364-4aeb-b13b-4376c3ba237e'
const HEAL_MS = 20_000

let bricks: BrickSet
let healer: SetHealer
const top = defineXlator({
  type: 'testing/healer',
  options: replicateOptions,
  create: self => {
    const set = new ReplicaSet(self)
    healer = makeHealer(set)
    return {
      start: () => healer.start(),
      stop: () => healer.stop(),
      notify(event, from) {
        if (event.kind === 'child-up') {
          set.up |= only(from.index)
          healer.brickUp(from.index)
        } else if (event.kind === 'child-down') {
          set.up &= ~only(from.index)
        }
      },
    }
  },
})
afterEach(() => bricks.stop())

const asGfid = (hex: string): Gfid => Buffer.from(hex, 'hex').latin1Slice() as Gfid

/** The content that the recorded workload gave a file of this name and size. */
function contentOf(path: string, size: number): Buffer {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return Buffer.from(`${name} content\n`.repeat(20)).subarray(0, size)
}

/** Lays out one brick as it was recorded. */
async function layOut(brick: TestVolume, index: number, recorded: RecordedBrick): Promise<void> {
  const seen = new Map<string, string>()
  for (const [path, file] of Object.entries(recorded.paths)) {
    if (path !== '/') await make(brick, index, path, file, seen)
  }
  for (const [path, file] of Object.entries(recorded.paths)) {
    const names = recorded.entryChanges[gfidText(asGfid(file.gfid))]
    for (const [key, hex] of Object.entries(file.afr)) {
      const bytes = Buffer.from(hex, 'hex')
      if (/^0*$/.test(hex)) {
        // Counters that were taken back: there, and zero.
        good(await brick.setxattr(path, { [key]: bytes }))
        continue
      }
      const at = (i: number): number => bytes.readInt32BE(i * 4)
      const accused = key.endsWith('dirty') ? ('dirty' as const) : Number(key.at(-1))
      await bricks.blame(index, path, accused, [at(0), at(1), at(2)], names)
    }
  }
}

async function make(
  brick: TestVolume,
  index: number,
  path: string,
  file: RecordedFile,
  seen: Map<string, string>,
): Promise<void> {
  const xdata = new Dict().setGfid('gfid-req', asGfid(file.gfid))
  const mode = Number.parseInt(file.mode, 8)
  const first = seen.get(file.gfid)
  seen.set(file.gfid, path)
  if (first !== undefined) {
    good(await brick.link(first, path))
  } else if (file.mode.startsWith('04')) {
    good(await brick.mkdir(path, mode & 0o7777, xdata))
  } else if (file.mode.startsWith('12')) {
    const loc = await brick.entry(path)
    good(await brick.top.symlink(brick.ctx, { loc, target: 'keep', umask: 0, xdata }))
  } else {
    good(await brick.mknod(path, mode, xdata))
    const size = file.size ?? 0
    if (size > 0) await bricks.overwrite(index, path, contentOf(path, size))
    if (file.uid !== 0)
      good(await brick.setattr(path, SetAttr.UID | SetAttr.GID, { uid: file.uid, gid: file.uid }))
    for (const [key, hex] of Object.entries(file.user))
      good(await brick.setxattr(path, { [key]: Buffer.from(hex, 'hex') }))
  }
}

/** The brick as the recording tells of one; `size` of directories and times are not compared. */
async function stateOf(index: number, like: RecordedBrick): Promise<RecordedBrick> {
  const brick = bricks.brick(index)
  const paths: Record<string, RecordedFile> = {}
  for (const path of Object.keys(like.paths)) {
    const stat = await brick.stat(path)
    const xattrs = (prefix: string): Record<string, string> =>
      Object.fromEntries(
        bricks
          .xattrNames(index, path)
          .filter(name => name.startsWith(prefix))
          .map(name => [name, bricks.xattr(index, path, name)?.toString('hex') ?? '']),
      )
    paths[path] = {
      mode: stat.mode.toString(8).padStart(6, '0'),
      uid: stat.uid,
      size: stat.isDirectory ? null : stat.size,
      gfid: Buffer.from(stat.gfid, 'latin1').toString('hex'),
      afr: xattrs('trusted.afr.'),
      user: xattrs('user.'),
    }
  }
  const indices = bricks.indices(index)
  return { paths, xattrop: indices.xattrop, entryChanges: indices.entryChanges }
}

/** Counters that are zero say the same as none. */
function withoutZeros(brick: RecordedBrick): RecordedBrick {
  const paths = Object.fromEntries(
    Object.entries(brick.paths).map(([path, file]) => [
      path,
      {
        ...file,
        afr: Object.fromEntries(Object.entries(file.afr).filter(([, hex]) => !/^0*$/.test(hex))),
      },
    ]),
  )
  return { ...brick, paths }
}

async function start(
  name: string,
  before: readonly RecordedBrick[],
  withArbiter: boolean,
): Promise<void> {
  bricks = await BrickSet.start({
    count: before.length,
    name,
    layers: index => (withArbiter && index === 2 ? [arbiter] : []),
  })
  // In the split-brains the first brick's files are the younger ones.
  for (const [index, recorded] of [...before.entries()].toReversed())
    await layOut(bricks.brick(index), index, recorded)
}

const OPTIONS = {
  'granular-entry-heal': 'on',
  'use-anonymous-inode': 'on',
  'volume-id': ANONYMOUS,
  'data-self-heal': 'on',
  'metadata-self-heal': 'on',
  'entry-self-heal': 'on',
  'heal-timeout': '5',
}

describe('a brick that comes back', () => {
  const recordings = fixture<RecordedHeal>('recorded-heals')
  for (const [name, { before, after, killed }] of Object.entries(recordings)) {
    const withArbiter = name.startsWith('arb')
    it(`is healed as GlusterFS heals it: ${name}`, async () => {
      await start(name, before, withArbiter)
      expect(await Promise.all(before.map((brick, i) => stateOf(i, brick)))).toEqual(before)
      const others = before.length - 1
      await bricks.join(top, {
        ...OPTIONS,
        'iam-self-heal-daemon': 'on',
        ...(withArbiter ? { 'arbiter-count': '1' } : {}),
        'quorum-type': others > 1 ? 'auto' : 'none',
      })
      await until('the heal to end', HEAL_MS, async () => {
        const counts = await healer.counts()
        // Noted names of a healed directory go when there is time.
        const noted = before.flatMap((_, i) => Object.keys(bricks.indices(i).entryChanges))
        return counts.every(count => count === 0) && noted.length === 0
      })
      expect(await Promise.all(after.map((brick, i) => stateOf(i, brick)))).toEqual(after)
      for (const path of Object.keys((before[killed] as RecordedBrick).paths)) {
        const gone = !(path in (after[killed] as RecordedBrick).paths)
        expect((await bricks.brick(killed).lookup(path)).ok).toBe(!gone)
      }
    })
  }
})

describe('split-brains', () => {
  const recordings = fixture<RecordedSplit>('recorded-split-brains')

  for (const [name, recorded] of Object.entries(recordings)) {
    it(`are resolved as GlusterFS resolves them: ${name}`, async () => {
      await start(name, recorded.before, false)
      const graph = await bricks.join(top, OPTIONS)
      expect(graph.top).toBeDefined()
      expect(await infoText()).toEqual(linesOf(recorded.info_before))
      for (const { words, stdout } of recorded.commands) {
        const told = await run(words)
        expect(told, words.join(' ')).toEqual(printedLines(stdout))
      }
      await heal(name)
      expect(await infoText()).toEqual(linesOf(recorded.heal_info))
      await until('noted names of healed directories to be gone', HEAL_MS, () =>
        recorded.after.every(
          ({ entryChanges }, i) =>
            Object.keys(bricks.indices(i).entryChanges).length === Object.keys(entryChanges).length,
        ),
      )
      const states = await Promise.all(recorded.after.map((brick, i) => stateOf(i, brick)))
      expect(states.map(withoutZeros)).toEqual(recorded.after.map(withoutZeros))
    })
  }

  /** The recording was made with the daemon off; only the policies were followed by a heal. */
  async function heal(name: string): Promise<void> {
    if (!name.endsWith('policies')) return
    await bricks.leave()
    await bricks.join(top, { ...OPTIONS, 'iam-self-heal-daemon': 'on' })
    await until('the sweeps to end', HEAL_MS, () => {
      const crawls = healer.statistics()
      return crawls.length >= 2 && crawls.every(crawl => crawl.ended !== undefined)
    })
  }

  /** Entries per brick, as `volume heal V info` prints them, in no order. */
  async function infoText(): Promise<string[][]> {
    const info = await healer.info()
    return info.map(({ entries }) => {
      if ('errno' in entries) return [`errno ${entries.errno}`]
      const mark = {
        pending: ' ',
        'split-brain': ' - Is in split-brain',
        healing: ' - Possibly undergoing heal',
      }
      return entries
        .map(({ path, gfid, state }) => `${path ?? `<gfid:${gfidText(gfid)}>`}${mark[state]}`)
        .toSorted()
    })
  }

  function linesOf(text: string): string[][] {
    return text
      .split(/^Brick .*\n/m)
      .slice(1)
      .map(part =>
        part
          .split('\n')
          .filter(line => /^[/<]/.test(line))
          .toSorted(),
      )
  }

  async function run(words: readonly string[]): Promise<string[]> {
    const [policy, first = '', second] = words
    if (policy === 'source-brick') {
      const brick = bricks.childName(Number(first.at(-1)) - 1)
      return print(await healer.resolve({ policy, brick }, second))
    }
    return print(await healer.resolve({ policy } as Resolution, first))
  }

  /**
   * Without the lines that the command itself adds; a listing has no order. Our index does not have
   * what is gone: GlusterFS meets the entry of the file that an earlier command has removed.
   */
  function printedLines(stdout: string): string[] {
    return stdout
      .split('\n')
      .filter(line => /^(Heal|GFID|'source-brick'|Lookup failed on (?!gfid:))/.test(line))
      .toSorted()
  }

  function print(files: Awaited<ReturnType<SetHealer['resolve']>>): string[] {
    return files
      .flatMap(({ file, outcome, reason, stage, errno, merged }) => {
        const merge =
          `'source-brick' option used on a directory (${file}). ` + 'Performing conservative merge.'
        const head = merged === true ? [merge] : []
        if (stage === 'lookup') return [`Lookup failed on ${file}:${reason}.`]
        if (outcome === 'failed')
          return [...head, `Healing ${file} failed:${errno === undefined ? ' ' : ''}${reason}.`]
        if (stage === 'gfid') return [`GFID split-brain resolved for file ${file}`]
        return [...head, `Healed ${file}.`]
      })
      .toSorted()
  }
})
