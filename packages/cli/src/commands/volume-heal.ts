/**
 * `volume heal`: crawls, what is to be healed, split-brains, switches (reference: cli-rpc-ops.c,
 * heal/src/glfs-heal.c).
 */

import type {
  BrickCrawlsView,
  HealCountView,
  HealInfoView,
  SplitBrainAnswer,
  SplitBrainRequest,
} from '@ashlar/contract'
import { RefusedError, segment } from '../api-client.ts'
import { type Command, type CommandInput, UsageError } from '../command.ts'
import { healInfoJson } from './heal-json.ts'
import {
  countLines,
  crawlLines,
  type HealInfoForm,
  healInfoText,
  isUnknownFile,
  resolvedText,
  unresolvedText,
} from './heal-text.ts'
import { parseHealWords } from './heal-words.ts'
import { healFailureXml, healInfoXml } from './heal-xml.ts'

const FAILED = 'Volume heal failed.'
const HINT = 'Use heal info commands to check status.'

/** Exit status of the heal program for a file that is not there: EINVAL. */
const NO_SUCH_FILE = 22

/** Exit statuses of GlusterFS's heal program: negative errno values, modulo 256. */
const INFO_STATUS: Readonly<Record<string, number>> = {
  VOLUME_NOT_FOUND: 254,
  VOLUME_NOT_STARTED: 251,
  HEAL_UNAVAILABLE: 234,
}

export const volumeHeal: Command = async input => {
  const [volume, ...rest] = input.words
  if (volume === undefined) throw new UsageError('')
  const words = parseHealWords(rest)
  const base = `/volumes/${segment(volume)}/heal`
  switch (words.kind) {
    case 'info':
      return info(input, base, words.form)
    case 'resolve':
      return resolve(input, base, words.request)
    case 'launch': {
      const phrase = `Launching heal operation to perform ${words.scope} self heal`
      return operation(input, volume, phrase, () => input.api.post(base, words), {
        lines: () => [HINT],
      })
    }
    case 'enable':
      return operation(input, volume, `${words.on ? 'Enable' : 'Disable'} heal`, () =>
        input.api.patch(base, { enabled: words.on }),
      )
    case 'granular':
      return operation(
        input,
        volume,
        `${words.on ? 'Enable' : 'Disable'} granular entry heal`,
        () => input.api.patch(base, { granular: words.on }),
      )
    case 'statistics':
      return operation(
        input,
        volume,
        'Gathering crawl statistics',
        () => input.api.get<BrickCrawlsView[]>(`${base}/statistics`),
        { lines: crawlLines },
      )
    case 'counts': {
      const query = words.brick === undefined ? '' : `?brick=${encodeURIComponent(words.brick)}`
      return operation(
        input,
        volume,
        'Gathering count of entries to be healed',
        () => input.api.get<HealCountView[]>(`${base}/counts${query}`),
        { lines: countLines },
      )
    }
  }
}

/** GlusterFS has no XML for these: they answer with text. */
async function operation<T>(
  input: CommandInput,
  volume: string,
  phrase: string,
  call: () => Promise<T>,
  form: { readonly lines: (answer: T) => readonly string[] } = { lines: () => [] },
): Promise<number> {
  const { terminal, options } = input
  try {
    const answer = await call()
    if (options.format === 'json') terminal.out(JSON.stringify({ volume, answer }))
    else {
      terminal.out(`${phrase} on volume ${volume} has been successful `)
      for (const line of form.lines(answer)) terminal.out(line)
    }
    return 0
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    if (options.format === 'json') terminal.out(JSON.stringify({ error: error.body }))
    else {
      terminal.err(`${phrase} on volume ${volume} has been unsuccessful:`)
      terminal.err(error.body.message)
    }
    return error.body.exitStatus
  }
}

async function info(input: CommandInput, base: string, form: HealInfoForm): Promise<number> {
  const { terminal, options } = input
  try {
    const query = form === 'summary' ? '?paths=no' : ''
    const answer = await input.api.get<HealInfoView>(`${base}${query}`)
    if (options.format === 'json') terminal.out(JSON.stringify(healInfoJson(answer, form)))
    else if (options.format === 'xml') terminal.out(healInfoXml(answer.bricks, form))
    else terminal.print(healInfoText(answer.bricks, form))
    return 0
  } catch (error) {
    return refused(input, error)
  }
}

async function resolve(
  input: CommandInput,
  base: string,
  request: SplitBrainRequest,
): Promise<number> {
  const { terminal, options } = input
  try {
    const answer = await input.api.post<SplitBrainAnswer>(`${base}/split-brain`, request)
    const all = request.policy === 'source-brick' && request.file === undefined
    const failed = !all && !answer.files.every(file => file.healed)
    if (options.format === 'json') terminal.out(JSON.stringify(answer))
    else {
      terminal.print(resolvedText(answer.files, all))
      if (!failed) terminal.out('')
      else if (options.format !== 'xml') terminal.out(FAILED)
    }
    if (!failed) return 0
    return answer.files.some(isUnknownFile) ? NO_SUCH_FILE : 1
  } catch (error) {
    return unresolved(input, request, error)
  }
}

/** As `refused`; there is no XML of it, and the brick is named. */
function unresolved(input: CommandInput, request: SplitBrainRequest, error: unknown): number {
  if (!(error instanceof RefusedError)) throw error
  const { terminal, options } = input
  const { code, message, exitStatus } = error.body
  if (options.format === 'json') terminal.out(JSON.stringify({ error: error.body }))
  else {
    terminal.print(unresolvedText(request, message))
    if (options.format !== 'xml') terminal.out(FAILED)
  }
  return INFO_STATUS[code] ?? exitStatus
}

/** The heal program complains on standard output. */
function refused(input: CommandInput, error: unknown): number {
  if (!(error instanceof RefusedError)) throw error
  const { terminal, options } = input
  const { code, message, exitStatus } = error.body
  if (options.format === 'json') terminal.out(JSON.stringify({ error: error.body }))
  else if (options.format === 'xml') terminal.out(healFailureXml(message))
  else {
    terminal.out(message)
    terminal.out(FAILED)
  }
  return INFO_STATUS[code] ?? exitStatus
}
