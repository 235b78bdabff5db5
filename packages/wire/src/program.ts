/**
 * Programs as tables: a row per procedure, read by client, server, dispatcher, tracer and fuzzer.
 */

import type { FopName } from '@ashlar/core'
import { assert } from '@ashlar/core'
import type { Codec } from './codec.ts'

export interface Procedure<Request = unknown, Reply = unknown> {
  readonly num: number
  /** Name as in rpc/rpc-lib/src/protocol-common.h, without its prefix. */
  readonly name: string
  /** The fop it carries. */
  readonly fop?: FopName
  readonly request: Codec<Request>
  readonly reply: Codec<Reply>
  /** Which message has, or may have, file data behind it. */
  readonly payload?: 'request' | 'reply' | 'both'
}

// biome-ignore lint/suspicious/noExplicitAny: rows of all types stand in one table
export type AnyProcedure = Procedure<any, any> // oxlint-disable-line typescript/no-explicit-any

export interface Program<
  T extends Readonly<Record<string, AnyProcedure>> = Readonly<Record<string, AnyProcedure>>,
> {
  readonly number: number
  readonly version: number
  /** As DUMP advertises it. */
  readonly name: string
  readonly procedures: T
  readonly byNumber: readonly (AnyProcedure | undefined)[]
}

/** Throws when two rows share a number. */
export function defineProgram<const T extends Readonly<Record<string, AnyProcedure>>>(
  program: { number: number; version: number; name: string },
  procedures: T,
): Program<T> {
  const byNumber: (AnyProcedure | undefined)[] = []
  for (const row of Object.values(procedures)) {
    assert(byNumber[row.num] === undefined, `two procedures ${row.num} in ${program.name}`)
    byNumber[row.num] = row
  }
  return { ...program, procedures, byNumber }
}

/** The types that a row carries. */
export type RequestOf<P> = P extends Procedure<infer Q, unknown> ? Q : never
export type ReplyOf<P> =
  P extends Procedure<never, infer R> ? R : P extends Procedure<infer _, infer R> ? R : never
