// Work of several users at once on one volume: `node storm.mjs ROUNDS [--fight] DIRECTORY…`, a worker
// for each directory, which are mounts of the same one. Makes, writes, renames, links and removes files
// of its own and files that all workers fight for; `--fight`: also renames what others remove, and into
// what others remove. Prints the failures that no race explains.

import { isMainThread, Worker, workerData } from 'node:worker_threads'
import * as fs from 'node:fs'

// EIO: a name that others remove and make anew while it is looked up has two gfids for a moment; clients
// of GlusterFS say so at once, ours after some attempts. Names that one worker alone uses never fail.
const RACES = new Set(['EEXIST', 'ENOENT', 'ENOTEMPTY', 'EIO'])
/** A directory that others remove while something is made in it; Node has no name for it. */
const ESTALE = -116

function race(action) {
  try {
    action()
  } catch (error) {
    if (!RACES.has(error.code) && error.errno !== ESTALE) throw error
  }
}

function work({ directory, tag, rounds, fights }) {
  const at = name => `${directory}/${name}`
  for (let i = 0; i < rounds; i++) {
    fs.writeFileSync(at(`${tag}${i}`), `${tag}${i}\n`.repeat(200 + i))
    fs.renameSync(at(`${tag}${i}`), at(`kept-${tag}${i}`))
    if (i % 7 === 0) fs.mkdirSync(at(`dir-${tag}${i}`), { recursive: true })
    if (i % 6 === 1) {
      fs.rmSync(at(`link-${tag}${i}`), { force: true })
      fs.linkSync(at(`kept-${tag}${i}`), at(`link-${tag}${i}`))
    }
    if (i % 4 === 1) fs.chmodSync(at(`kept-${tag}${i}`), 0o600)
    if (i % 5 === 0) fs.unlinkSync(at(`kept-${tag}${i}`))
    const shared = fs.openSync(at('shared'), fs.constants.O_CREAT | fs.constants.O_RDWR, 0o644)
    fs.writeSync(shared, Buffer.alloc(2000, tag), 0, 2000, (i % 20) * 1500)
    fs.closeSync(shared)
    race(() => fs.mkdirSync(at(`same${i}`)))
    race(() => fs.renameSync(at(`same${i}`), at(`moved${i}`)))
    race(() => fs.writeFileSync(at(`both${i % 10}`), `${tag}${i}`))
    race(() => fs.unlinkSync(at(`both${(i + 3) % 10}`)))
    if (!fights) continue
    // Renames of what others remove, and into directories that others remove.
    race(() => fs.writeFileSync(at(`fought${i % 3}`), tag))
    race(() => fs.renameSync(at(`fought${i % 3}`), at(`won${i % 3}`)))
    race(() => fs.mkdirSync(at(`room${i % 2}`)))
    race(() => fs.renameSync(at(`won${i % 3}`), at(`room${i % 2}/file`)))
    race(() => fs.unlinkSync(at(`won${(i + 1) % 3}`)))
    race(() => fs.unlinkSync(at(`room${i % 2}/file`)))
    race(() => fs.rmdirSync(at(`room${i % 2}`)))
  }
}

if (isMainThread) {
  const [rounds, ...words] = process.argv.slice(2)
  const fights = words[0] === '--fight'
  const directories = fights ? words.slice(1) : words
  const failures = await Promise.all(
    directories.map(
      (directory, i) =>
        new Promise(resolve => {
          const tag = String.fromCharCode(97 + i)
          const worker = new Worker(new URL(import.meta.url), {
            workerData: { directory, tag, rounds: Number(rounds), fights },
          })
          worker.on('error', error => resolve(`${tag}: ${error.stack}`))
          worker.on('exit', () => resolve(undefined))
        }),
    ),
  )
  const real = failures.filter(failure => failure !== undefined)
  for (const failure of real) process.stdout.write(`${failure}\n`)
  process.exit(real.length === 0 ? 0 : 1)
} else {
  work(workerData)
}
