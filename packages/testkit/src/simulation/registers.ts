/**
 * The check of registers: a read returns what was written, and nothing older than what had been
 * acknowledged when it began. What was begun and not acknowledged may have happened or not; what has
 * failed has happened, if at all, by the time it failed.
 *
 * That is a regular register with several writers (Lamport), not an atomic one: of two reads during a
 * write, or after one that failed, the first may see it and the second not. Copies of a file are
 * read without locks, by GlusterFS's clients too.
 */

import { EMPTY, type History, type Operation, type Value } from './history.ts'

interface Write {
  readonly value: Value
  readonly started: number
  readonly ended: number
  readonly sure: boolean
  readonly by: string
}

interface Read {
  readonly value: Value
  readonly started: number
  readonly ended: number
  readonly by: string
}

/** Everything that was written to each register, the value at the beginning first. */
export class Registers {
  readonly #writes = new Map<string, Write[]>()
  readonly #initial: ReadonlyMap<string, Value>

  constructor(history: History) {
    this.#initial = history.initial
    for (const operation of history.operations) {
      for (const [register, value] of operation.writes) {
        this.#of(register).push({
          value,
          started: operation.started,
          ended: operation.ended,
          sure: operation.errno === 0 && !operation.unsure,
          by: nameOf(operation),
        })
      }
    }
  }

  /** Why a read cannot be; undefined: it can. `slackMs`: how old an answer may be. */
  problem(register: string, read: Read, slackMs = 0): string | undefined {
    const writes = this.#of(register)
    const candidates = writes.filter(
      write => write.value === read.value && write.started <= read.ended,
    )
    if (candidates.length === 0)
      return `${read.by} has read ${read.value} of ${register}, which nobody wrote`
    const later = (write: Write): Write | undefined =>
      writes.find(
        other => other.sure && other.started > write.ended && other.ended < read.started - slackMs,
      )
    const newest = candidates.map(later)
    if (newest.includes(undefined)) return undefined
    const candidate = candidates.at(-1) as Write
    const after = newest.at(-1) as Write
    return (
      `${read.by} has read ${read.value} of ${register} (${candidate.by}), ` +
      `older than ${after.value} (${after.by})`
    )
  }

  #of(register: string): Write[] {
    const present = this.#writes.get(register)
    if (present !== undefined) return present
    const value = this.#initial.get(register) ?? EMPTY
    const first: Write = {
      value,
      started: Number.NEGATIVE_INFINITY,
      ended: Number.NEGATIVE_INFINITY,
      sure: true,
      by: 'at first',
    }
    const made = [first]
    this.#writes.set(register, made)
    return made
  }
}

function nameOf(operation: Operation): string {
  const end = Number.isFinite(operation.ended) ? operation.ended.toFixed(1) : 'never'
  const outcome = operation.errno === 0 ? 'ok' : `errno ${operation.errno}`
  return `${operation.client} ${operation.text} [${operation.started.toFixed(1)}, ${end}] ${outcome}`
}

/** What is wrong with the reads of a history. */
export function checkReads(history: History, slackMs: number): string[] {
  const registers = new Registers(history)
  const problems: string[] = []
  for (const operation of history.operations) {
    if (operation.errno !== 0) continue
    for (const [register, value] of operation.reads) {
      const { started, ended } = operation
      const read = { value, started, ended, by: nameOf(operation) }
      const problem = registers.problem(register, read, slackMs)
      if (problem !== undefined) problems.push(problem)
    }
  }
  return problems
}
