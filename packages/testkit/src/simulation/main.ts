/**
 * The runner of simulations:
 *
 *   node packages/testkit/dist/simulation/main.js [--from N] [--seeds N] [--seed N] [--shape SHAPE]
 *
 * Runs seeds one after the other; prints those that fail, and how to run them again. `--seed` runs
 * one, and prints its history.
 */

import { parseArgs } from 'node:util'
import { ASKED_SHAPES, planText, type Shape, SHAPES } from './plan.ts'
import { simulate } from './simulate.ts'

/** Failing seeds that are told in full. */
const TOLD_MAX = 20

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      from: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '100' },
      shape: { type: 'string' },
    },
  })
  const shapes: readonly Shape[] = [...SHAPES, ...ASKED_SHAPES]
  const shape = shapes.find(each => each === values.shape)
  if (values.shape !== undefined && shape === undefined) {
    say(`shapes: ${shapes.join(' ')}`)
    return 2
  }
  const wrong = (['seed', 'from', 'seeds'] as const).find(key => {
    const text = values[key]
    return text !== undefined && !/^\d{1,15}$/.test(text)
  })
  if (wrong !== undefined) {
    say(`--${wrong} takes a number`)
    return 2
  }
  if (values.seed !== undefined) return one(Number(values.seed), shape)
  return many(Number(values.from), Number(values.seeds), shape)
}

async function one(seed: number, shape: Shape | undefined): Promise<number> {
  const { lines, problems, digest } = await simulate(seed, { shape })
  for (const line of lines) say(line)
  say(
    problems.length === 0
      ? `seed ${seed}: all is well`
      : `seed ${seed}: ${problems.length} problems`,
  )
  say(`digest ${digest}`)
  return problems.length === 0 ? 0 : 1
}

async function many(from: number, count: number, shape: Shape | undefined): Promise<number> {
  let failed = 0
  let operations = 0
  let events = 0
  const began = process.hrtime.bigint()
  for (let seed = from; seed < from + count; seed++) {
    const result = await simulate(seed, { shape })
    operations += result.operations
    events += result.events
    if (result.problems.length === 0) continue
    failed += 1
    if (failed > TOLD_MAX) continue
    say(`seed ${seed} (${planText(result.plan)}):`)
    for (const problem of result.problems.slice(0, 4)) say(`  ${problem}`)
    const how = shape === undefined ? '' : ` --shape ${shape}`
    say(`  again: npm run simulate -- --seed ${seed}${how}`)
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  say(
    `${count} seeds from ${from}: ${failed} failed; ${operations} operations, ${events} events, ${seconds.toFixed(1)} s`,
  )
  return failed === 0 ? 0 : 1
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

process.exitCode = await main()
