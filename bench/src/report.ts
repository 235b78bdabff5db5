/** The result as a table and as JSON: medians, and ratios of the same run. */

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
  const all = [head, ...lines]
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
