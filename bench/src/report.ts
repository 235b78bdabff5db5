/** The result as a table and as JSON: medians, and ratios of the same run. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url))

/** A line on standard output. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Writes a result, with what is to be known of the machine, to bench/results/<time>.json. */
export function keepResults(result: Readonly<Record<string, unknown>>): void {
  mkdirSync(RESULTS, { recursive: true })
  const file = join(RESULTS, `${new Date().toISOString().replaceAll(':', '-')}.json`)
  const machine = {
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    load: loadavg(),
  }
  writeFileSync(file, `${JSON.stringify({ machine, ...result }, null, 2)}\n`)
  say(`written: ${file}`)
}

export interface Result {
  readonly row: string
  readonly unit: string
  /** By target, one value a round. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

function shown(value: number | undefined): string {
  if (value === undefined) return '-'
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)
}

/** Rows of medians, with what Ashlar is to the others. */
export function table(results: readonly Result[], targets: readonly string[]): string {
  const others = targets.filter(name => name !== 'ashlar')
  const head = ['', 'unit', ...targets, ...others.map(name => `ashlar / ${name}`)]
  const lines = results.map(result => {
    const medians = new Map(
      targets.map(name => [
        name,
        result.values[name] === undefined ? undefined : median(result.values[name]),
      ]),
    )
    const own = medians.get('ashlar')
    const ratios = others.map(name => {
      const other = medians.get(name)
      return own === undefined || other === undefined || other === 0
        ? '-'
        : `${(own / other).toFixed(2)}×`
    })
    return [result.row, result.unit, ...targets.map(name => shown(medians.get(name))), ...ratios]
  })
  return columns([head, ...lines])
}

/** Lines of cells below each other; the first column to the left, numbers to the right. */
export function columns(all: readonly (readonly string[])[]): string {
  const head = all[0] ?? []
  const widths = head.map((_, column) =>
    Math.max(...all.map(cells => (cells[column] as string).length)),
  )
  return all
    .map(cells =>
      cells
        .map((cell, column) =>
          column === 0
            ? cell.padEnd(widths[column] as number)
            : cell.padStart(widths[column] as number),
        )
        .join('  '),
    )
    .join('\n')
}
