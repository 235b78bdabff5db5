/**
 * What is measured, row by row. All loops are synchronous, in one process, one call after the other,
 * unless the row says otherwise: they feel every round trip as a user's `cp` or `tar` does.
 */

import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Sizes {
  /** Files of each small-file row. */
  readonly files: number
  /** Files of the listing row. */
  readonly listing: number
  /** Files of the tree. */
  readonly tree: number
  /** MiB of the sequential rows. */
  readonly mebibytes: number
  /** Seconds of each random row. */
  readonly seconds: number
  /** A tar archive of `tree` small files. */
  readonly archive: string
}

export interface Row {
  readonly name: string
  /** `ops/s`, `files/s`, `MB/s`. More is better in all of them. */
  readonly unit: string
  /** Kernel caches are dropped before. */
  readonly cold?: boolean
  /** Prepares; not timed. */
  before?(directory: string, sizes: Sizes): void
  /** Returns how much was done; the time is taken around it. */
  work(directory: string, sizes: Sizes): number | Promise<number>
}

const FOUR_KIB = Buffer.alloc(4096, 'a')
const MIB = 1024 * 1024
const BLOCK = randomBytes(MIB)

function each(count: number, action: (i: number) => void): number {
  for (let i = 0; i < count; i++) action(i)
  return count
}

function writeFile(path: string): void {
  const fd = openSync(path, 'wx')
  writeSync(fd, FOUR_KIB)
  closeSync(fd)
}

/** Makes a directory full of files, once. */
function fill(directory: string, count: number): void {
  mkdirSync(directory, { recursive: true })
  if (readdirSync(directory).length === 0) each(count, i => writeFile(`${directory}/f${i}`))
}

export const ROWS: readonly Row[] = [
  {
    name: 'create 4 KiB',
    unit: 'ops/s',
    before: dir => mkdirSync(`${dir}/small`, { recursive: true }),
    work: (dir, { files }) => each(files, i => writeFile(`${dir}/small/f${i}`)),
  },
  {
    name: 'stat, uncached',
    unit: 'ops/s',
    cold: true,
    work: (dir, { files }) => each(files, i => statSync(`${dir}/small/f${i}`)),
  },
  {
    name: 'read 4 KiB, uncached',
    unit: 'ops/s',
    cold: true,
    work: (dir, { files }) =>
      each(files, i => {
        const fd = openSync(`${dir}/small/f${i}`, 'r')
        readSync(fd, Buffer.allocUnsafe(4096))
        closeSync(fd)
      }),
  },
  {
    name: 'rename',
    unit: 'ops/s',
    work: (dir, { files }) =>
      each(files, i => renameSync(`${dir}/small/f${i}`, `${dir}/small/g${i}`)),
  },
  {
    name: 'unlink',
    unit: 'ops/s',
    work: (dir, { files }) => each(files, i => unlinkSync(`${dir}/small/g${i}`)),
  },
  {
    name: 'mkdir',
    unit: 'ops/s',
    work: (dir, { files }) => each(files, i => mkdirSync(`${dir}/small/d${i}`)),
  },
  {
    name: 'rmdir',
    unit: 'ops/s',
    work: (dir, { files }) => each(files, i => rmdirSync(`${dir}/small/d${i}`)),
  },
  {
    name: 'ls -l, uncached',
    unit: 'files/s',
    cold: true,
    before: (dir, { listing }) => fill(`${dir}/listing`, listing),
    work: (dir, { listing }) => {
      const path = `${dir}/listing`
      for (const name of readdirSync(path)) statSync(`${path}/${name}`)
      return listing
    },
  },
  {
    name: 'untar',
    unit: 'files/s',
    before: dir => {
      rmSync(`${dir}/tree`, { recursive: true, force: true })
      mkdirSync(`${dir}/tree`)
    },
    work: (dir, { archive, tree }) => {
      must('tar', ['xf', archive, '-C', `${dir}/tree`])
      return tree
    },
  },
  {
    name: 'find, uncached',
    unit: 'files/s',
    cold: true,
    work: (dir, { tree }) => {
      must('find', [`${dir}/tree`, '-type', 'f', '-size', '+0'])
      return tree
    },
  },
  {
    name: 'rm -r',
    unit: 'files/s',
    work: (dir, { tree }) => {
      must('rm', ['-r', `${dir}/tree`])
      return tree
    },
  },
  {
    name: 'write, 1 MiB blocks, fsync',
    unit: 'MB/s',
    before: dir => rmSync(`${dir}/large`, { force: true }),
    work: (dir, { mebibytes }) => {
      writeLarge(dir, mebibytes)
      return (mebibytes * MIB) / 1e6
    },
  },
  {
    name: 'read, 1 MiB blocks, uncached',
    unit: 'MB/s',
    cold: true,
    before: haveLarge,
    work: (dir, { mebibytes }) => {
      const fd = openSync(`${dir}/large`, 'r')
      const buffer = Buffer.allocUnsafe(MIB)
      each(mebibytes, () => readSync(fd, buffer))
      closeSync(fd)
      return (mebibytes * MIB) / 1e6
    },
  },
  {
    name: 'random read 4 KiB, 4 processes',
    unit: 'ops/s',
    cold: true,
    before: haveLarge,
    work: (dir, sizes) => random(dir, sizes, 'read'),
  },
  {
    name: 'random write 4 KiB, 4 processes',
    unit: 'ops/s',
    before: haveLarge,
    work: (dir, sizes) => random(dir, sizes, 'write'),
  },
]

function writeLarge(directory: string, mebibytes: number): void {
  const fd = openSync(`${directory}/large`, 'w')
  each(mebibytes, () => writeSync(fd, BLOCK))
  fsyncSync(fd)
  closeSync(fd)
}

/** The file that the row of writes leaves, when that row was not asked for. */
function haveLarge(directory: string, { mebibytes }: Sizes): void {
  if (!existsSync(`${directory}/large`)) writeLarge(directory, mebibytes)
}

function must(command: string, words: readonly string[]): void {
  const result = spawnSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'] })
  if (result.status !== 0) throw new Error(`${command} failed: ${String(result.stderr)}`)
}

const PROCESSES = 4

/** Operations per second of several processes on one file, times the seconds they ran. */
async function random(directory: string, sizes: Sizes, kind: 'read' | 'write'): Promise<number> {
  const script = fileURLToPath(new URL('random-io.js', import.meta.url))
  const counts = await Promise.all(
    Array.from(
      { length: PROCESSES },
      () =>
        new Promise<number>((resolve, reject) => {
          const child = spawn(
            process.execPath,
            [script, kind, `${directory}/large`, String(sizes.seconds)],
            { stdio: ['ignore', 'pipe', 'inherit'] },
          )
          let text = ''
          child.stdout.on('data', chunk => {
            text += String(chunk)
          })
          child.on('close', code =>
            code === 0 ? resolve(Number(text)) : reject(new Error(`random-io ended with ${code}`)),
          )
        }),
    ),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
