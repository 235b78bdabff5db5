/**
 * The words of `volume heal` (reference: cli-cmd-parser.c). They are taken as written: none may be
 * shortened.
 */

import type { SplitBrainRequest } from '@ashlar/contract'
import { UsageError } from '../command.ts'
import type { HealInfoForm } from './heal-text.ts'

export type HealWords =
  | { readonly kind: 'launch'; readonly scope: 'index' | 'full' }
  | { readonly kind: 'enable'; readonly on: boolean }
  | { readonly kind: 'granular'; readonly on: boolean }
  | { readonly kind: 'statistics' }
  | { readonly kind: 'counts'; readonly brick: string | undefined }
  | { readonly kind: 'info'; readonly form: HealInfoForm }
  | { readonly kind: 'resolve'; readonly request: SplitBrainRequest }

const FORMS: Readonly<Record<string, HealInfoForm>> = {
  '': 'all',
  summary: 'summary',
  'split-brain': 'split-brain',
}

/** Throws UsageError when the words behind the volume's name do not fit. */
export function parseHealWords(words: readonly string[]): HealWords {
  const [verb = '', ...rest] = words
  const parsed = WORDS[verb]?.(rest)
  if (parsed === undefined) throw new UsageError('')
  return parsed
}

/** Throws UsageError unless it is `HOST:/PATH`. */
function brickWord(word: string): string {
  if (/^.+:\//.test(word)) return word
  throw new UsageError(`Wrong brick type: ${word}, use <HOSTNAME>:<export-dir-abs-path>`)
}

type Parser = (rest: readonly string[]) => HealWords | undefined

/** A verb without words behind it. */
function alone(words: HealWords): Parser {
  return rest => (rest.length === 0 ? words : undefined)
}

const WORDS: Readonly<Record<string, Parser>> = {
  '': alone({ kind: 'launch', scope: 'index' }),
  full: alone({ kind: 'launch', scope: 'full' }),
  enable: alone({ kind: 'enable', on: true }),
  disable: alone({ kind: 'enable', on: false }),
  'granular-entry-heal': ([word, ...more]) => {
    if (more.length > 0 || (word !== 'enable' && word !== 'disable')) return undefined
    return { kind: 'granular', on: word === 'enable' }
  },
  statistics: ([word, key, brick, ...more]) => {
    if (word === undefined) return { kind: 'statistics' }
    if (word !== 'heal-count' || more.length > 0) return undefined
    if (key === undefined) return { kind: 'counts', brick: undefined }
    if (key !== 'replica' || brick === undefined) return undefined
    return { kind: 'counts', brick: brickWord(brick) }
  },
  info: ([word = '', ...more]) => {
    const form = FORMS[word]
    return form === undefined || more.length > 0 ? undefined : { kind: 'info', form }
  },
  'split-brain': ([policy, first, file, ...more]) => {
    if (first === undefined || more.length > 0) return undefined
    if (policy === 'source-brick') {
      const brick = brickWord(first)
      const request = { policy, brick, ...(file === undefined ? {} : { file }) } as const
      return { kind: 'resolve', request }
    }
    if (file !== undefined || (policy !== 'bigger-file' && policy !== 'latest-mtime')) {
      return undefined
    }
    return { kind: 'resolve', request: { policy, file: first } }
  },
}
