/**
 * The grammar of `gluster`: a table of commands, each with the words that lead to it and the form
 * it is shown in. Words are matched exactly first, else by an unambiguous beginning.
 */

import type { Command } from './command.ts'

export type HelpClass = 'volume' | 'peer' | 'snapshot' | 'global' | 'bitrot' | 'quota'

export interface GrammarRow {
  /** Fixed words in front, with blanks between. */
  readonly words: string
  /** As it is shown after `Usage:` and in help. */
  readonly pattern: string
  readonly help: string
  readonly helpClass: HelpClass | undefined
  /** How long its answer may take, where that is not the usual time. */
  readonly timeoutSeconds?: number
  /** Absent: part of the grammar, but this release cannot do it. */
  readonly run?: Command
}

export type Match =
  | { readonly kind: 'found'; readonly row: GrammarRow; readonly rest: readonly string[] }
  | { readonly kind: 'unknown'; readonly word: string; readonly position: number }
  | { readonly kind: 'incomplete' }

/** Finds the row that `line` leads to. */
export function matchLine(rows: readonly GrammarRow[], line: readonly string[]): Match {
  let candidates = rows.map(row => ({ row, fixed: row.words.split(' ') }))
  for (let depth = 0; ; depth++) {
    const complete = candidates.filter(({ fixed }) => fixed.length === depth)
    const deeper = candidates.filter(({ fixed }) => fixed.length > depth)
    const word = line[depth]
    const next = word === undefined ? [] : choose(deeper, depth, word)
    const [row] = complete
    if (next.length === 0) {
      if (row !== undefined) return { kind: 'found', row: row.row, rest: line.slice(depth) }
      if (word === undefined) return { kind: 'incomplete' }
      return { kind: 'unknown', word, position: depth }
    }
    candidates = next
  }
}

function choose<T extends { readonly fixed: readonly string[] }>(
  candidates: readonly T[],
  depth: number,
  word: string,
): T[] {
  const exact = candidates.filter(({ fixed }) => fixed[depth] === word)
  if (exact.length > 0) return exact
  const begun = candidates.filter(({ fixed }) => fixed[depth]?.startsWith(word) === true)
  return new Set(begun.map(({ fixed }) => fixed[depth])).size === 1 ? begun : []
}

/** The one of `choices` that `word` means: itself, or the only one that begins with it. */
export function chooseWord(choices: readonly string[], word: string): string | undefined {
  if (choices.includes(word)) return word
  const begun = choices.filter(choice => choice.startsWith(word))
  return begun.length === 1 ? begun[0] : undefined
}
