/**
 * Program "Ashlar compound": our own, in the range that RFC 5531 §8.1 leaves to whoever wants one.
 * Bricks offer it in DUMP; who does not know it never hears of it.
 *
 * Its procedure carries up to 16 calls of "GlusterFS 4.x v1", each encoded by its own row. The brick
 * runs them in order up to the first that fails, as if each had come in a record of its own.
 *
 *     request   count, then per step: procedure of program 400 · 1 and a credential, or 0 for the
 *               call's own · the row's arguments
 *     reply     op_ret, op_errno, count, then per step that ran: procedure · the row's reply
 *
 * A row with file data (WRITE, READ) takes the rest of the record and so stands last. Where a step
 * names an fd it may name the one that an earlier step opens: `fdOfStep`.
 */

import type { Codec } from '../codec.ts'
import { type Credential, decodeCredential, encodeCredential } from '../credential.ts'
import { WireError } from '../error.ts'
import { type AnyProcedure, defineProgram, type Procedure } from '../program.ts'
import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'
import { fopProgram } from './fops.ts'

/** Steps of one compound. */
export const COMPOUND_STEPS_MAX = 16
/** Of steps that open something, the fd is named by this number and those below it. */
const FD_OF_STEP_0 = -16
/** Fields of arguments that hold an fd's number. */
const FD_FIELDS = ['fd', 'sourceFd', 'targetFd'] as const

const P = fopProgram.procedures
const OPENS: ReadonlySet<AnyProcedure> = new Set<AnyProcedure>([P.CREATE, P.OPEN, P.OPENDIR])

/** The number by which later steps name the fd that step `index` opens. */
export function fdOfStep(index: number): number {
  return FD_OF_STEP_0 - index
}

/** The step whose fd `number` names; undefined for numbers that are none of these. */
export function stepOfFd(number: number): number | undefined {
  const index = FD_OF_STEP_0 - number
  return index >= 0 && index < COMPOUND_STEPS_MAX ? index : undefined
}

/** True when the step opens something that later steps may use. */
export function opensFd(row: AnyProcedure): boolean {
  return OPENS.has(row)
}

export interface CompoundStep {
  readonly row: AnyProcedure
  /** The caller, when it is not the call's. */
  readonly credential: Credential | undefined
  readonly args: unknown
}

export interface CompoundStepReply {
  readonly row: AnyProcedure
  /** By the row: with op_ret −1 when the step failed, which the last one alone may have. */
  readonly reply: unknown
}

export interface CompoundReply {
  /** −1: the compound as such failed with `errno`; of its steps nothing is known. */
  readonly ret: number
  readonly errno: number
  readonly steps: readonly CompoundStepReply[]
}

/** The row of a step. Only procedures that are fops can be steps. */
function rowOf(number: number): AnyProcedure {
  const row = fopProgram.byNumber[number]
  if (row?.fop === undefined) throw new WireError(`procedure ${number} in a compound`)
  return row
}

function checkCount(count: number): void {
  if (count > COMPOUND_STEPS_MAX) throw new WireError(`${count} steps in a compound`)
}

/** File data runs to the end of the record. */
function checkPlace(row: AnyProcedure, index: number, count: number): void {
  if (row.payload !== undefined && index < count - 1)
    throw new WireError(`${row.name} amid the steps of a compound`)
}

/** A step may use what a step before it has opened, and nothing else of that kind. */
function checkFds(steps: readonly CompoundStep[], args: unknown): void {
  for (const field of FD_FIELDS) {
    const number = (args as Partial<Record<string, unknown>>)[field]
    const index = typeof number === 'number' ? stepOfFd(number) : undefined
    if (index === undefined) continue
    const opener = steps[index]
    if (opener === undefined || !opensFd(opener.row))
      throw new WireError(`the fd of step ${index}, which opens none before`)
  }
}

const request: Codec<readonly CompoundStep[]> = {
  encode(w: Writer, steps) {
    checkCount(steps.length)
    w.u32(steps.length)
    steps.forEach(({ row, credential, args }, i) => {
      checkPlace(row, i, steps.length)
      w.u32(row.num)
      w.u32(credential === undefined ? 0 : 1)
      if (credential !== undefined) encodeCredential(w, credential)
      row.request.encode(w, args)
    })
  },
  decode(r: Reader) {
    const count = r.u32()
    checkCount(count)
    if (count === 0) throw new WireError('a compound without steps')
    const steps: CompoundStep[] = []
    for (let i = 0; i < count; i++) {
      const row = rowOf(r.u32())
      checkPlace(row, i, count)
      const own = r.u32()
      if (own > 1) throw new WireError(`${own} where a credential is or is not`)
      const credential = own === 0 ? undefined : decodeCredential(r)
      const args: unknown = row.request.decode(r)
      checkFds(steps, args)
      steps.push({ row, credential, args })
    }
    return steps
  },
  zero: [],
}

const reply: Codec<CompoundReply> = {
  encode(w: Writer, { ret, errno, steps }) {
    w.u32(ret)
    w.u32(errno)
    w.u32(steps.length)
    for (const step of steps) {
      w.u32(step.row.num)
      step.row.reply.encode(w, step.reply)
    }
  },
  decode(r: Reader) {
    const ret = r.i32()
    const errno = r.i32()
    const count = r.u32()
    checkCount(count)
    const steps: CompoundStepReply[] = []
    for (let i = 0; i < count; i++) {
      const row = rowOf(r.u32())
      if (row.payload === 'reply') checkPlace(row, i, count)
      steps.push({ row, reply: row.reply.decode(r) })
    }
    return { ret, errno, steps }
  },
  zero: { ret: 0, errno: 0, steps: [] },
}

const COMPOUND: Procedure<readonly CompoundStep[], CompoundReply> = {
  num: 1,
  name: 'COMPOUND',
  request,
  reply,
  payload: 'both',
}

export const compoundProgram = defineProgram(
  // 'ASH' and a number of ours.
  { number: 0x41_53_48_01, version: 1, name: 'Ashlar compound' },
  { COMPOUND },
)

/** The arguments of a step with the fds of earlier steps in place of their names. */
export function resolveFds(args: unknown, fdOf: (step: number) => number): unknown {
  let resolved: Record<string, unknown> | undefined
  for (const field of FD_FIELDS) {
    const number = (args as Partial<Record<string, unknown>>)[field]
    const index = typeof number === 'number' ? stepOfFd(number) : undefined
    if (index === undefined) continue
    resolved ??= { ...(args as Record<string, unknown>) }
    resolved[field] = fdOf(index)
  }
  return resolved ?? args
}
