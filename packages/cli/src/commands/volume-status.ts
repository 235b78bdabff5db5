/**
 * `volume status`: processes, their file systems, their clients, and what they tell of themselves
 * (cli/src/cli-rpc-ops.c).
 */

import type { StatusDetail, VolumeProcesses, VolumeView } from '@ashlar/contract'
import { RefusedError, segment } from '../api-client.ts'
import { type Command, type CommandInput, UsageError } from '../command.ts'
import { reporting, show, SUCCESS } from '../failure.ts'
import { chooseWord } from '../grammar.ts'
import { cliOutput, element } from '../xml.ts'
import { processStateLines } from './process-text.ts'
import {
  clientLines,
  clientListLines,
  detailLines,
  processLines,
  taskLines,
} from './status-text.ts'
import { statusElement } from './status-xml.ts'

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
/** What glusterd is asked for beside the processes. */
const DETAILS: Readonly<Partial<Record<StatusType, StatusDetail>>> = {
  detail: 'filesystem',
  clients: 'clients',
  'client-list': 'clients',
  mem: 'memory',
  inode: 'inodes',
  fd: 'fds',
  callpool: 'calls',
}

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

/** GlusterFS's complaint about a daemon that no volume of this release has. */
function daemonComplaint({ volume, daemon }: StatusWords): string | undefined {
  switch (daemon) {
    case 'quotad':
      return `Volume ${volume} does not have quota enabled`
    case 'snapd':
      return `Volume ${volume} does not have uss enabled`
    case 'bitd':
    case 'scrub':
      return `Volume ${volume} does not have bitrot enabled`
    default:
      return undefined
  }
}

export const volumeStatus: Command = async input => {
  const words = parseStatusWords(input.words)
  if (words.volume === 'all') return statusOfAll(input, words)
  const form = {
    text: (message: string) => message,
    operation: { name: 'volStatus', output: (message: string) => message },
  }
  return reporting(input, form, async () => {
    const answer = await fetchStatus(input, words.volume, words)
    const complaint = daemonComplaint(words)
    if (complaint !== undefined) {
      throw new RefusedError({ code: 'OPTION_REFUSED', message: complaint, exitStatus: 1 })
    }
    return show(input, {
      json: { volumes: [answer] },
      xml: () => document([answer], words),
      text: () => input.terminal.out(statusText(answer, words)),
    })
  })
}

function fetchStatus(
  input: CommandInput,
  volume: string,
  words: StatusWords,
): Promise<VolumeProcesses> {
  const query = new URLSearchParams()
  const detail = DETAILS[words.type]
  if (detail !== undefined) query.set('detail', detail)
  if (words.brick !== undefined) query.set('brick', words.brick)
  if (words.daemon === 'shd') query.set('daemon', 'selfHeal')
  return input.api.get(`/volumes/${segment(volume)}/status?${query.toString()}`)
}

async function statusOfAll(input: CommandInput, words: StatusWords): Promise<number> {
  const volumes = await input.api.get<VolumeView[]>('/volumes')
  const answers = new Map<string, VolumeProcesses>()
  for (const { name, status } of volumes) {
    if (status === 'started') answers.set(name, await fetchStatus(input, name, words))
  }
  const started = [...answers.values()]
  return show(input, {
    json: { volumes: started },
    xml: () => document(started, words),
    text: () => {
      if (volumes.length === 0) input.terminal.err('No volumes present')
      for (const { name } of volumes) {
        const answer = answers.get(name)
        if (answer === undefined) input.terminal.err(`Volume ${name} is not started`)
        input.terminal.out(answer === undefined ? ' ' : statusText(answer, words))
      }
    },
  })
}

function document(answers: readonly VolumeProcesses[], words: StatusWords): string {
  const volumes = answers.map(answer => statusElement(answer, words))
  return cliOutput(SUCCESS, [element('volStatus', [element('volumes', volumes)])])
}

function statusText(answer: VolumeProcesses, words: StatusWords): string {
  const lines = (): string[] => {
    switch (words.type) {
      case 'detail':
        return detailLines(answer)
      case 'clients':
        return clientLines(answer)
      case 'client-list':
        return clientListLines(answer)
      case 'tasks':
        return taskLines(answer.volume)
      case 'mem':
      case 'inode':
      case 'fd':
      case 'callpool':
        return processStateLines(answer, words.type, words.daemon !== undefined)
      default: {
        const narrowed = words.brick !== undefined || words.daemon !== undefined
        return narrowed
          ? processLines(answer)
          : [...processLines(answer), ...taskLines(answer.volume)]
      }
    }
  }
  return lines().join('\n')
}
