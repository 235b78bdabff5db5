// Programs on two mounts that make, move and look up names in one directory, in turn: each sees at
// once what the other has been told is done, though mounts answer for names that they have not asked
// a brick for.
import * as fs from 'node:fs/promises'
import { S_IFDIR } from '@ashlar/core'
import { Cluster, type Mount, signal, until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obstacle } from './mounted.ts'

const ROUNDS = 40
/** More than clients keep of a small file. */
const LARGE = 100_000
/** Names that are looked up and not there, between two that are made: it takes 8 for a listing. */
const MISSES = 12
/** A mount that is stopped may hold up others by 2 s for a lease; the rest is for a slow machine. */
const HELD_UP_MS_MAX = 20_000

type Kind = 'file' | 'directory' | 'link' | 'none'

async function kindOf(path: string): Promise<Kind> {
  const stat = await fs.lstat(path).catch((error: unknown) => {
    expect(error).toMatchObject({ code: 'ENOENT' })
  })
  if (stat === undefined) return 'none'
  return stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : 'file'
}

/** What one mount does in a directory, one after the other, and what the other mount sees then. */
const CHANGES: readonly [
  what: string,
  act: (directory: string) => Promise<unknown>,
  sees: Readonly<Record<string, Kind>>,
][] = [
  ['create', at => fs.writeFile(`${at}/n`, 'first', { flag: 'wx' }), { n: 'file' }],
  ['link', at => fs.link(`${at}/n`, `${at}/m`), { n: 'file', m: 'file' }],
  ['rename', at => fs.rename(`${at}/n`, `${at}/o`), { m: 'file', o: 'file' }],
  ['symlink', at => fs.symlink('o', `${at}/n`), { n: 'link', m: 'file', o: 'file' }],
  ['rename over a name', at => fs.rename(`${at}/n`, `${at}/m`), { m: 'link', o: 'file' }],
  ['mkdir', at => fs.mkdir(`${at}/n`), { m: 'link', n: 'directory', o: 'file' }],
  ['rename of a directory', at => fs.rename(`${at}/n`, `${at}/p`), { p: 'directory' }],
]

describe.skipIf(obstacle !== undefined)('names on two mounts', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('spread', 2)
    await cluster.volume('copied', 3, {}, ['replica', '3'])
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  describe.each(['spread', 'copied'])('of a volume (%s)', name => {
    let mounts: [Mount, Mount]

    beforeAll(async () => {
      mounts = [await cluster.mount(name), await cluster.mount(name)]
    })

    /** Makes a mount sure of which names are not there. */
    async function miss(directory: string, round: number): Promise<void> {
      for (let i = 0; i < MISSES; i++)
        expect(await kindOf(`${directory}/none-${round}-${i}`)).toBe('none')
    }

    test.each(CHANGES.map(([what], i) => [what, i] as const))('%s', async (_what, step) => {
      const [, act, sees] = CHANGES[step] as (typeof CHANGES)[0]
      const before = CHANGES.slice(0, step)
      const given = before.at(-1)?.[2] ?? {}
      // What had a name before may be remembered for a moment; that nothing had it may not.
      const fresh = Object.entries(sees).filter(([entry]) => !(entry in given))
      for (let round = 0; round < 4; round++) {
        const [maker, reader] = round % 2 === 0 ? mounts : [mounts[1], mounts[0]]
        const directory = `step-${step}-${round}`
        await fs.mkdir(`${maker.path}/${directory}`)
        for (const [, prepare] of before) await prepare(`${maker.path}/${directory}`)
        await miss(`${reader.path}/${directory}`, round)
        for (const [entry] of fresh)
          expect(await kindOf(`${reader.path}/${directory}/${entry}`), entry).toBe('none')
        await act(`${maker.path}/${directory}`)
        for (const [entry, kind] of fresh)
          expect(await kindOf(`${reader.path}/${directory}/${entry}`), entry).toBe(kind)
      }
    })

    test('made in turn', async () => {
      for (const mount of mounts) await fs.mkdir(`${mount.path}/turns`, { recursive: true })
      for (let round = 0; round < ROUNDS; round++) {
        const [maker, reader] = round % 2 === 0 ? mounts : [mounts[1], mounts[0]]
        await miss(`${reader.path}/turns`, round)
        await fs.writeFile(`${maker.path}/turns/${round}`, `${round}`)
        expect(await fs.readFile(`${reader.path}/turns/${round}`, 'utf8')).toBe(`${round}`)
      }
    })

    test('made by both at the same time: one of them wins, and the other is told so', async () => {
      for (const mount of mounts) await fs.mkdir(`${mount.path}/race`, { recursive: true })
      for (let round = 0; round < ROUNDS; round++) {
        for (const mount of mounts) await miss(`${mount.path}/race`, round)
        const won = await Promise.all(
          mounts.map(async ({ path }, who) => {
            try {
              await fs.writeFile(`${path}/race/${round}`, `${who}`, { flag: 'wx' })
              return true
            } catch (error) {
              expect(error).toMatchObject({ code: 'EEXIST' })
              expect(await kindOf(`${path}/race/${round}`)).toBe('file')
              return false
            }
          }),
        )
        expect(won.filter(Boolean), `${round}`).toHaveLength(1)
      }
    })

    test('given to another file, open that file', async () => {
      const [maker, reader] = mounts
      await fs.mkdir(`${maker.path}/replaced`)
      for (let round = 0; round < ROUNDS; round++) {
        await fs.writeFile(`${maker.path}/replaced/.next`, Buffer.alloc(LARGE, round))
        await fs.rename(`${maker.path}/replaced/.next`, `${maker.path}/replaced/n`)
        // Looked up now, or when another file had the name, a moment ago.
        const file = await fs.open(`${reader.path}/replaced/n`)
        const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, LARGE - 1)
        await file.close()
        expect([bytesRead, buffer[0]]).toEqual([1, round])
      }
    })

    test('given to another directory, lead into that directory', async () => {
      const [maker, reader] = mounts
      for (let round = 0; round < 10; round++) {
        const above = `anew-${round}`
        const directory = `${above}/middle/d`
        await fs.mkdir(`${maker.path}/${directory}`, { recursive: true })
        expect(await fs.readdir(`${reader.path}/${directory}`)).toEqual([])
        // All of the path, or the end of it.
        const removed = round % 2 === 0 ? directory : above
        await fs.rm(`${maker.path}/${removed}`, { recursive: true })
        await fs.mkdir(`${maker.path}/${directory}`, { recursive: true })
        await fs.writeFile(`${reader.path}/${directory}/f`, 'text')
        expect(await fs.readFile(`${maker.path}/${directory}/f`, 'utf8')).toBe('text')
      }
    })

    test('of a directory that the other mount has removed: nothing is there', async () => {
      const [maker, reader] = mounts
      for (let round = 0; round < 10; round++) {
        const directory = `removed-${round}`
        await fs.mkdir(`${maker.path}/${directory}`)
        expect(await fs.readdir(`${reader.path}/${directory}`)).toEqual([])
        await fs.rmdir(`${maker.path}/${directory}`)
        const making = fs.writeFile(`${reader.path}/${directory}/f`, 'text')
        await expect(making).rejects.toMatchObject({ code: 'ENOENT' })
      }
    })

    test('of a directory that is removed while it is open: it is empty, and has no link', async () => {
      const at = `${mounts[0].path}/open`
      await fs.mkdir(at, { mode: 0o750 })
      const handle = await fs.open(at)
      const listing = await fs.opendir(at)
      await fs.rmdir(at)
      expect(await handle.stat()).toMatchObject({ mode: S_IFDIR | 0o750, nlink: 0 })
      expect(await listing.read()).toBeNull()
      // Another one of that name is another one.
      await fs.mkdir(at)
      expect((await fs.stat(at)).nlink).toBe(2)
      expect((await handle.stat()).nlink).toBe(0)
      await listing.close()
      await handle.close()
    })

    test('made while the other mount is stopped', async () => {
      const [maker, reader] = mounts
      await fs.mkdir(`${maker.path}/stopped`)
      await miss(`${reader.path}/stopped`, 0)
      const pid = reader.pid as number
      signal(pid, 'SIGSTOP')
      try {
        let made = false
        const making = fs.writeFile(`${maker.path}/stopped/new`, 'text').then(() => {
          made = true
        })
        await until('the making', HELD_UP_MS_MAX, () => made)
        await making
      } finally {
        signal(pid, 'SIGCONT')
      }
      expect(await kindOf(`${reader.path}/stopped/new`)).toBe('file')
    })

    test('is what a mount sees of its own work, too', async () => {
      const at = `${mounts[0].path}/own`
      await fs.mkdir(at)
      for (let round = 0; round < ROUNDS; round++) {
        await miss(at, round)
        await fs.writeFile(`${at}/a-${round}`, `${round}`)
        expect(await kindOf(`${at}/a-${round}`)).toBe('file')
        await fs.rename(`${at}/a-${round}`, `${at}/b-${round}`)
        expect(await kindOf(`${at}/a-${round}`)).toBe('none')
        await fs.truncate(`${at}/b-${round}`, round)
        expect((await fs.stat(`${at}/b-${round}`)).size).toBe(round)
      }
      for (let round = 0; round < ROUNDS; round++) {
        expect((await fs.stat(`${at}/b-${round}`)).size).toBe(round)
        await fs.unlink(`${at}/b-${round}`)
        expect(await kindOf(`${at}/b-${round}`)).toBe('none')
      }
      expect(await fs.readdir(`${mounts[1].path}/own`)).toEqual([])
      await fs.rmdir(at)
    })
  })
})
