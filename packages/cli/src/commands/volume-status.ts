/**
 * `volume status`: processes, their file systems, their clients, and what they tell of themselves
 * (cli/src/cli-rpc-ops.c).
 */

import type { StatusDetail, VolumeProcesses, VolumeView } from '@ashlar/contract'
import { RefusedError, segment } from '../api-client.ts'
import type { Command, CommandInput } from '../command.ts'
import { reporting, show, SUCCESS } from '../failure.ts'
import { cliOutput, element } from '../xml.ts'
import { processStateLines } from './process-text.ts'
import {
  clientLines,
  clientListLines,
  detailLines,
  processLines,
  taskLines,
} from './status-text.ts'
import { parseStatusWords, type StatusType, type StatusWords } from './status-words.ts'
import { statusElement } from './status-xml.ts'

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
