/** Words of a command line that must be numbers, or names that there are. */

export class ArgumentError extends Error {}

/** A count: digits only. Throws ArgumentError. */
export function countOf<K extends string>(flags: Readonly<Record<K, string>>, key: K): number {
  const text = flags[key]
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new ArgumentError(`--${key} takes a number, not '${text}'`)
}

/** Names between commas, all of them known. Throws ArgumentError. */
export function namesOf<K extends string>(
  flags: Readonly<Record<K, string>>,
  key: K,
  known: readonly string[],
): ReadonlySet<string> {
  const names = flags[key].split(',')
  const wrong = names.find(name => !known.includes(name))
  if (wrong === undefined) return new Set(names)
  throw new ArgumentError(`--${key} takes ${known.join(', ')}, not '${wrong}'`)
}
