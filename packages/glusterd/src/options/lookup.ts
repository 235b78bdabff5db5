/**
 * From the word a user typed to rows of the option table, and the nearest key when there is none.
 */

import type { OptionRow } from './row.ts'
import { OPTION_TABLE } from './table.ts'

const BY_KEY = new Map<string, OptionRow[]>()
for (const row of OPTION_TABLE) {
  const rows = BY_KEY.get(row.key)
  if (rows === undefined) BY_KEY.set(row.key, [row])
  else rows.push(row)
}

/** Rows of an exact key; empty when there is none. */
export function rowsOf(key: string): readonly OptionRow[] {
  return BY_KEY.get(key) ?? []
}

/** The full key: as typed, or completed when exactly one key is WORD behind its domain. */
export function completeKey(word: string): string | undefined {
  if (BY_KEY.has(word)) return word
  if (word.includes('.')) return undefined
  const matches = [...BY_KEY.keys()].filter(key => key.slice(domainOf(key).length + 1) === word)
  return matches.length === 1 ? matches[0] : undefined
}

/** True for keys that belong to no translator and are stored untouched. */
export function isUserKey(key: string): boolean {
  return key.startsWith('user.')
}

/**
 * `Did you mean …?` for a key that does not exist. As `volopt_trie` of glusterd-volume-set.c: the
 * nearest domain, then the two nearest names in it; a word without a dot is a name of any domain.
 */
export function suggestion(word: string): string {
  const parts = [...BY_KEY.keys()].map(key => key.split('.') as [string, string])
  const dot = word.indexOf('.')
  const [domain] = dot < 0 ? [] : nearest(word.slice(0, dot), new Set(parts.map(([name]) => name)))
  const names = parts.filter(([name]) => domain === undefined || name === domain)
  const [first, second] = nearest(word.slice(dot + 1), new Set(names.map(([, name]) => name)))
  const hint = domain === undefined ? `${first}` : `${domain}.${first}`
  const other = second === undefined ? '' : ` or ${domain === undefined ? '' : '...'}${second}`
  return `Did you mean ${hint}${other}?`
}

function domainOf(key: string): string {
  return key.slice(0, key.indexOf('.'))
}

/** The words at the smallest edit distance, in alphabetical order. All are as near to nothing. */
function nearest(word: string, candidates: Iterable<string>): string[] {
  if (word === '') return [...candidates].sort()
  let best = Number.POSITIVE_INFINITY
  let found: string[] = []
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance < best) {
      best = distance
      found = []
    }
    if (distance === best) found.push(candidate)
  }
  return found.sort()
}

/** Levenshtein's distance. */
export function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const change = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, change))
    }
    row = next
  }
  return row[other.length] as number
}
