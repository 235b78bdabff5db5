/**
 * The options of debug/io-stats that depend on the side it stands on: log levels, logger and the
 * number of threads have one key for bricks and one for clients.
 */

import type { NodeDraft } from './draft.ts'

/** [key after `diagnostics.SIDE-`, default] in the order in which they are written. */
const LOGGING: readonly (readonly [string, string | undefined])[] = [
  ['log-level', 'INFO'],
  ['sys-log-level', undefined],
  ['logger', undefined],
  ['log-format', undefined],
  ['log-buf-size', undefined],
  ['log-flush-timeout', undefined],
]

/** Sets logging and threads for `side` on an io-stats translator. */
export function setIoStats(
  node: NodeDraft,
  side: 'brick' | 'client',
  options: ReadonlyMap<string, string>,
): void {
  for (const [name, fallback] of LOGGING) {
    const value = options.get(`diagnostics.${side}-${name}`) ?? fallback
    if (value !== undefined) node.set(name, value)
  }
  node.set('threads', options.get(`config.${side}-threads`) ?? '16')
}
