/** The words of `volume status` (reference: cli-cmd-parser.c). */

import { UsageError } from '../command.ts'
import { chooseWord } from '../grammar.ts'

const TYPES = [
  'detail',
  'clients',
  'mem',
  'inode',
  'fd',
  'callpool',
  'tasks',
  'client-list',
] as const
export type StatusType = (typeof TYPES)[number] | 'plain'

const DAEMONS = new Set(['nfs', 'shd', 'quotad', 'snapd', 'bitd', 'scrub'])
export interface StatusWords {
  readonly volume: string
  readonly brick: string | undefined
  readonly daemon: string | undefined
  readonly type: StatusType
}

/** Throws UsageError with GlusterFS's message. */
export function parseStatusWords(words: readonly string[]): StatusWords {
  const [volume = 'all', ...rest] = words
  const types: string[] = [...TYPES]
  const last = rest.at(-1)
  const type = last === undefined ? 'plain' : chooseWord(types, last)
  // Two words are a daemon or brick and what to tell of it; one is either.
  const subject = rest.length > 1 || type === undefined ? rest[0] : undefined
  if (rest.length > 2 || (type === undefined && (rest.length > 1 || volume === 'all'))) {
    throw new UsageError(`${last} is not a valid status option`)
  }
  if (volume === 'all' && subject !== undefined) {
    throw new UsageError('Cannot specify brick/nfs for "all"')
  }
  const daemon = subject !== undefined && DAEMONS.has(subject) ? subject : undefined
  const brick = daemon === undefined ? subject : undefined
  const chosen = (type ?? 'plain') as StatusType
  refuseType(chosen, brick, daemon)
  return { volume, brick, daemon, type: chosen }
}

/** What there is not to tell of daemons and single bricks. */
function refuseType(type: StatusType, brick: string | undefined, daemon: string | undefined): void {
  if (daemon === 'nfs' && ['detail', 'fd', 'tasks'].includes(type)) {
    throw new UsageError('Detail/FD/Tasks status not available for NFS Servers')
  }
  if (daemon === 'shd' && ['detail', 'fd', 'clients', 'tasks'].includes(type)) {
    throw new UsageError('Detail/FD/Clients/Tasks status not available for Self-heal Daemons')
  }
  if (brick !== undefined && type === 'tasks') {
    throw new UsageError('Tasks status not available for bricks')
  }
}
