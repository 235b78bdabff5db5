import { describe, expect, it } from 'vitest'
import { runEach } from './compound.ts'
import { Errno } from './errno.ts'
import { failure, type Fops, ROOT_CTX, type Step } from './index.ts'

/** Names of what was called: `lookup N`, and `compound N…` with all its steps. */
let calls: string[]

const numberOf = (step: Pick<Step, 'args'>): number => (step.args as unknown as { n: number }).n
const steps = (...numbers: number[]): Step[] =>
  numbers.map(n => ({ fop: 'lookup', args: { n } }) as unknown as Step)

/** A subvolume where the lookups of `missing` fail, and compounds that begin with `cut` as a whole. */
function subvolume(missing: readonly number[], cut?: number): Fops {
  calls = []
  const look = (n: number): unknown =>
    missing.includes(n) ? failure(Errno.ENOENT) : { ok: true, n }
  return {
    lookup: async (_: unknown, { n }: { n: number }) => {
      calls.push(`lookup ${n}`)
      return look(n)
    },
    compound: async (_: unknown, args: { steps: Step[] }) => {
      const numbers = args.steps.map(numberOf)
      calls.push(`compound ${numbers.join(' ')}`)
      if (numbers[0] === cut) return failure(Errno.ENOTCONN)
      const end = numbers.findIndex(n => missing.includes(n))
      return { ok: true, replies: numbers.slice(0, end < 0 ? undefined : end + 1).map(look) }
    },
  } as unknown as Fops
}

describe('steps that run whatever came of the others', () => {
  it('are one compound where all go well', async () => {
    const replies = await runEach(subvolume([]), true, ROOT_CTX, steps(1, 2, 3))
    expect(replies).toEqual([1, 2, 3].map(n => ({ ok: true, n })))
    expect(calls).toEqual(['compound 1 2 3'])
  })

  it('go on behind each that fails', async () => {
    const replies = await runEach(subvolume([1, 3]), true, ROOT_CTX, steps(1, 2, 3, 4))
    expect(replies.map(reply => reply.ok)).toEqual([false, true, false, true])
    expect(calls).toEqual(['compound 1 2 3 4', 'compound 2 3 4', 'compound 4'])
  })

  it('fail from where nothing is answered any more', async () => {
    const replies = await runEach(subvolume([1], 2), true, ROOT_CTX, steps(1, 2, 3))
    expect(replies).toEqual([
      failure(Errno.ENOENT),
      failure(Errno.ENOTCONN),
      failure(Errno.ENOTCONN),
    ])
  })

  it('are asked for side by side where compounds are not one round trip', async () => {
    const replies = await runEach(subvolume([2]), false, ROOT_CTX, steps(1, 2, 3))
    expect(replies.map(reply => reply.ok)).toEqual([true, false, true])
    expect(calls).toEqual(['lookup 1', 'lookup 2', 'lookup 3'])
  })
})
