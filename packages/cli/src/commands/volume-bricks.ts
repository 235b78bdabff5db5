/**
 * `volume add-brick`, `remove-brick`, `replace-brick`, `reset-brick`.
 */

import type {
  AddBricksRequest,
  RemoveBricksRequest,
  ReplaceBrickRequest,
  ResetBrickRequest,
  VolumeView,
} from '@ashlar/contract'
import { segment } from '../api-client.ts'
import { type BrickWord, parseBricks } from '../brick-words.ts'
import { type Command, type CommandInput, sure, UsageError } from '../command.ts'
import { type FailureForm, reporting, show, SUCCESS } from '../failure.ts'
import { chooseWord } from '../grammar.ts'
import { cliOutput, element } from '../xml.ts'
import { REPLICA_2 } from './create-words.ts'

interface Change {
  readonly form: FailureForm
  readonly call: () => Promise<VolumeView>
  readonly text: string
  readonly xml: () => string
}

function change(input: CommandInput, { form, call, text, xml }: Change): Promise<number> {
  return reporting(input, form, async () => {
    const volume = await call()
    return show(input, { json: { volume }, xml, text: () => input.terminal.out(text) })
  })
}

export const addBrick: Command = async input => {
  const [name, ...words] = input.words
  if (name === undefined || words.length === 0) throw new UsageError('')
  const request = parseAddWords(words)
  const splitBrain = request.replica === 2 && request.arbiter === undefined
  if (splitBrain && request.force !== true && !sure(input, REPLICA_2)) throw new UsageError('')
  const operation = { name: 'volAddBrick', output: (message: string) => message }
  return change(input, {
    form: { text: message => `volume add-brick: failed: ${message}`, operation },
    call: () =>
      input.api.post(`/volumes/${segment(name)}/bricks`, {
        ...request,
        force: request.force === true || input.options.ignoreWarnings,
      }),
    text: 'volume add-brick: success',
    xml: () =>
      cliOutput(SUCCESS, [
        element('cliOp', operation.name),
        element('output', 'Add Brick successful'),
      ]),
  })
}

function parseAddWords(words: readonly string[]): AddBricksRequest {
  let at = 0
  const counts: { replica?: number; arbiter?: number } = {}
  const [first = ''] = words
  if (!first.includes(':') && chooseWord(['replica'], first) !== undefined) {
    counts.replica = countOf(words[1])
    if (counts.replica < 2) throw new UsageError('replica count should be greater than 1')
    at = 2
    if (words[at] === 'arbiter') {
      counts.arbiter = countOf(words[at + 1])
      at += 2
      if (counts.arbiter !== 1 || counts.replica !== 3) {
        throw new UsageError(
          'For arbiter configuration, replica count must be 3 and arbiter count must be 1. ' +
            'The 3rd brick of the replica will be the arbiter',
        )
      }
    }
  }
  const force = words.at(-1) === 'force'
  return { ...counts, bricks: parseBricks(words.slice(at, force ? -1 : undefined)), force }
}

/** What is no number counts as none. */
function countOf(word: string | undefined): number {
  const count = Number(word)
  if (word === undefined) throw new UsageError('')
  return Number.isInteger(count) ? count : 0
}

const STEPS = ['start', 'commit', 'stop', 'status', 'force'] as const

const MIGRATION =
  'It is recommended that remove-brick be run with cluster.force-migration option disabled to ' +
  'prevent possible data corruption. Doing so will ensure that files that receive writes during ' +
  'migration will not be migrated and will need to be manually copied after the remove-brick ' +
  'commit operation. Please check the value of the option and update accordingly. \n' +
  'Do you want to continue with your current cluster.force-migration settings?'
const NO_MIGRATION =
  'Remove-brick force will not migrate files from the removed bricks, so they will no longer be ' +
  'available on the volume.\nDo you want to continue?'

export const removeBrick: Command = async input => {
  const [name, ...words] = input.words
  if (name === undefined || words.length < 2) throw new UsageError('')
  const request = parseRemoveWords(words)
  const { step } = request
  const question = { start: MIGRATION, force: NO_MIGRATION }[step as string]
  if (question !== undefined && !sure(input, question)) return 0
  const verb = step === 'force' ? 'commit force' : step
  const body = element('volRemoveBrick')
  return change(input, {
    form: {
      text: message => `volume remove-brick ${verb}: failed: ${message}`,
      body: [body],
    },
    call: () => input.api.post(`/volumes/${segment(name)}/bricks/remove`, request),
    text: `volume remove-brick ${verb}: success`,
    xml: () => cliOutput({ ...SUCCESS, message: `Remove Brick ${verb} successful` }, [body]),
  })
}

function parseRemoveWords(words: readonly string[]): RemoveBricksRequest {
  const last = words.at(-1) as string
  const step = last.includes(':') ? undefined : chooseWord(STEPS, last)
  if (step === undefined) throw new UsageError('')
  let at = 0
  const counts: { replica?: number } = {}
  if (words[0] === 'replica') {
    counts.replica = countOf(words[1])
    if (counts.replica < 1) {
      throw new UsageError('replica count should be greater than 0 in case of remove-brick')
    }
    at = 2
  }
  const seen = new Set<string>()
  const bricks = words.slice(at, -1).map(word => {
    if (!/^.+:\//.test(word)) {
      throw new UsageError(`wrong brick type: ${word}, use <HOSTNAME>:<export-dir-abs-path>`)
    }
    if (seen.has(word)) throw new UsageError(`Duplicate bricks found ${word}`)
    seen.add(word)
    return brickOf(word)
  })
  if (bricks.length === 0) throw new UsageError('No bricks specified')
  return { ...counts, bricks, step: step as RemoveBricksRequest['step'] }
}

function brickOf(word: string): BrickWord {
  const [brick] = parseBricks([word])
  return brick as BrickWord
}

function replacementOf(word: string): BrickWord {
  if (!/^.+:\//.test(word))
    throw new UsageError(`wrong brick type: ${word}, use <HOSTNAME>:<export-dir-abs-path>`)
  return brickOf(word)
}

export const replaceBrick: Command = async input => {
  const [name, source, target, first, second, ...more] = input.words
  if (name === undefined || source === undefined || target === undefined) throw new UsageError('')
  if (first === undefined || second === undefined || more.length > 0) throw new UsageError('')
  const request: ReplaceBrickRequest = {
    brick: brickOf(source),
    replacement: replacementOf(target),
  }
  if (first !== 'commit' || second !== 'force') {
    throw new UsageError(
      `Invalid option '${first}' '${second}' for replace-brick. ` +
        'Please enter valid replace-brick command',
    )
  }
  const message = 'replace-brick commit force operation successful'
  return change(input, {
    form: { text: problem => `volume replace-brick: failed: ${problem}`, errno: 0 },
    call: () => input.api.post(`/volumes/${segment(name)}/bricks/replace`, request),
    text: `volume replace-brick: success: ${message}`,
    xml: () => cliOutput({ ...SUCCESS, message }),
  })
}

export const resetBrick: Command = async input => {
  const [name, source, ...words] = input.words
  if (name === undefined || source === undefined || words.length === 0) throw new UsageError('')
  const { request, verb } = parseResetWords(source, words)
  const message = `reset-brick ${verb} operation successful`
  return change(input, {
    form: { text: problem => `volume reset-brick: failed: ${problem}`, errno: 0 },
    call: () => input.api.post(`/volumes/${segment(name)}/bricks/reset`, request),
    text: `volume reset-brick: success: ${message}`,
    xml: () => cliOutput({ ...SUCCESS, message }),
  })
}

function parseResetWords(
  source: string,
  words: readonly string[],
): { request: ResetBrickRequest; verb: string } {
  const brick = brickOf(source)
  if (words.length === 1) {
    if (words[0] === 'start') return { request: { brick, step: 'start' }, verb: 'start' }
    throw new UsageError(
      `Invalid option '${words[0]}' for reset-brick. Please enter valid reset-brick command`,
    )
  }
  const [target, ...verbs] = words as [string, ...string[]]
  const verb = verbs.join(' ')
  if (verb !== 'commit' && verb !== 'commit force') {
    throw new UsageError(
      `Invalid option '${verb}' for reset-brick. Please enter valid reset-brick command`,
    )
  }
  const replacement = brickOf(target)
  const force = verb === 'commit force'
  return { request: { brick, replacement, step: 'commit', force }, verb }
}
