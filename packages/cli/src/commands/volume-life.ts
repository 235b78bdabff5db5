/**
 * `volume create`, `start`, `stop`, `delete`.
 */

import type { VolumeView } from '@ashlar/contract'
import { segment } from '../api-client.ts'
import { type Command, type CommandInput, sure, UsageError } from '../command.ts'
import { reporting, show, SUCCESS } from '../failure.ts'
import { cliOutput, element } from '../xml.ts'
import { parseCreateWords } from './create-words.ts'

interface LifeStep {
  readonly verb: 'create' | 'start' | 'stop' | 'delete'
  readonly name: string
  readonly call: () => Promise<VolumeView>
  /** Behind `volume VERB: NAME: success`. */
  readonly tail?: string
  readonly errno?: number
}

/** Element of each verb in XML documents. */
const ELEMENTS = {
  create: 'volCreate',
  start: 'volStart',
  stop: 'volStop',
  delete: 'volDelete',
} as const

function step(input: CommandInput, { verb, name, call, tail, errno }: LifeStep): Promise<number> {
  const failed = (message: string): string => `volume ${verb}: ${name}: failed: ${message}`
  return reporting(input, { text: failed, ...(errno === undefined ? {} : { errno }) }, async () => {
    const volume = await call()
    const identity = [element('name', volume.name), element('id', volume.id)]
    return show(input, {
      json: { volume },
      xml: () => cliOutput(SUCCESS, [element(ELEMENTS[verb], [element('volume', identity)])]),
      text: () => input.terminal.out(`volume ${verb}: ${name}: success${tail ?? ''}`),
    })
  })
}

export const createVolume: Command = async input => {
  const { request, question } = parseCreateWords(input.words)
  if (question !== undefined && !sure(input, question)) throw new UsageError('')
  const body = { ...request, force: request.force === true || input.options.ignoreWarnings }
  return step(input, {
    verb: 'create',
    name: request.name,
    call: () => input.api.post('/volumes', body),
    tail: ': please start the volume to access data',
    errno: 0,
  })
}

/** VOL and perhaps `force`, nothing else. */
function nameAndForce(words: readonly string[]): { name: string; force: boolean } {
  const [name, word] = words
  if (name === undefined || words.length > 2) throw new UsageError('')
  if (word !== undefined && word !== 'force') throw new UsageError('')
  return { name, force: word === 'force' }
}

export const startVolume: Command = async input => {
  const { name, force } = nameAndForce(input.words)
  return step(input, {
    verb: 'start',
    name,
    call: () => input.api.post(`/volumes/${segment(name)}/start`, { force }),
  })
}

export const stopVolume: Command = async input => {
  const { name, force } = nameAndForce(input.words)
  const question = 'Stopping volume will make its data inaccessible. Do you want to continue?'
  if (!sure(input, question)) return 0
  return step(input, {
    verb: 'stop',
    name,
    call: () => input.api.post(`/volumes/${segment(name)}/stop`, { force }),
  })
}

export const deleteVolume: Command = async input => {
  const [name] = input.words
  if (name === undefined || input.words.length > 1) throw new UsageError('')
  const question =
    'Deleting volume will erase all information about the volume. Do you want to continue?'
  if (!sure(input, question)) return 0
  return step(input, {
    verb: 'delete',
    name,
    call: () => input.api.delete(`/volumes/${segment(name)}`),
  })
}
