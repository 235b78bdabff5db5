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
  VolumeView,
} from '@ashlar/contract'
import { RefusedError, segment } from '../api-client.ts'
import { type Command, type CommandInput, UsageError } from '../command.ts'
import { healInfoJson } from './heal-json.ts'
import {
  countLines,
  crawlLines,
  type HealInfoForm,
  healInfoText,
  isBrickDown,
  resolvedText,
  type UngatheredCount,
  unhealedStatus,
  unresolvedText,
} from './heal-text.ts'
import { parseHealWords } from './heal-words.ts'
import { healFailureXml, healInfoXml } from './heal-xml.ts'

const FAILED = 'Volume heal failed.'
const HINT = 'Use heal info commands to check status.'

/** Exit statuses of GlusterFS's heal program: negative errno values, modulo 256. */
const INFO_STATUS: Readonly<Record<string, number>> = {
  VOLUME_NOT_FOUND: 254,
  VOLUME_NOT_STARTED: 251,
  HEAL_UNAVAILABLE: 234,
}

/** What its documents say: ENOENT, EIO, EINVAL. */
const INFO_ERRNO: Readonly<Record<string, number>> = {
  VOLUME_NOT_FOUND: 2,
  VOLUME_NOT_STARTED: 5,
  HEAL_UNAVAILABLE: 22,
}

/** Its exit status when the brick is down that all files were to be taken from. */
const ENOTCONN = 107

/** Its exit status when the form of the indices is not changed because they are not empty: EAGAIN. */
const UNHEALED_STATUS = 11

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
      return granular(input, { volume, base, on: words.on })
    case 'statistics':
      return operation(
        input,
        volume,
        'Gathering crawl statistics',
        () => input.api.get<BrickCrawlsView[]>(`${base}/statistics`),
        { lines: crawlLines },
      )
    case 'counts': {
      const { brick } = words
      if (brick !== undefined) return countsOfSet(input, volume, brick)
      return operation(
        input,
        volume,
        'Gathering count of entries to be healed',
        () => input.api.get<HealCountView[]>(`${base}/counts`),
        { lines: countLines },
      )
    }
  }
}

/** Counts of the set with `brick` only; all bricks are listed, even when there is no such set. */
function countsOfSet(input: CommandInput, name: string, brick: string): Promise<number> {
  const { api } = input
  const base = `/volumes/${segment(name)}`
  const ask = async (): Promise<UngatheredCount[]> => {
    const counts = await api
      .get<HealCountView[]>(`${base}/heal/counts?brick=${encodeURIComponent(brick)}`)
      .catch((error: unknown) => {
        if (error instanceof RefusedError && error.body.code === 'BRICK_NOT_FOUND') return []
        throw error
      })
    const { bricks } = await api.get<VolumeView>(base)
    return bricks.map(({ host, path }) => {
      const found = counts.find(count => count.host === host && count.path === path)
      return found ?? { host, path, count: undefined }
    })
  }
  return operation(input, name, 'Gathering count of entries to be healed per replica', ask, {
    lines: countLines,
  })
}

/** Switching it on is a matter of GlusterFS's heal program, which complains in its own way. */
async function granular(
  input: CommandInput,
  { volume, base, on }: { readonly volume: string; readonly base: string; readonly on: boolean },
): Promise<number> {
  const phrase = `${on ? 'Enable' : 'Disable'} granular entry heal`
  const call = (): Promise<VolumeView> => input.api.patch(base, { granular: on })
  if (!on) return operation(input, volume, phrase, call)
  try {
    const answer = await call()
    return await operation(input, volume, phrase, () => Promise.resolve(answer))
  } catch (error) {
    const status = refused(input, error, false)
    const unhealed = error instanceof RefusedError && error.body.message.startsWith('One or more')
    return unhealed ? UNHEALED_STATUS : status
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
    const query = { all: '', summary: '?paths=no', 'split-brain': '?only=split-brain' }[form]
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
    const unhealed = all ? undefined : answer.files.find(file => !file.healed)
    if (options.format === 'json') terminal.out(JSON.stringify(answer))
    else {
      terminal.print(resolvedText(answer.files, all))
      if (unhealed !== undefined && options.format !== 'xml') terminal.out(FAILED)
    }
    return unhealed === undefined ? 0 : unhealedStatus(unhealed)
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
  return isBrickDown(message) ? ENOTCONN : (INFO_STATUS[code] ?? exitStatus)
}

/** The heal program complains on standard output. */
function refused(input: CommandInput, error: unknown, xml = true): number {
  if (!(error instanceof RefusedError)) throw error
  const { terminal, options } = input
  const { code, message, exitStatus } = error.body
  if (options.format === 'json') terminal.out(JSON.stringify({ error: error.body }))
  else if (options.format === 'xml' && xml) {
    terminal.out(healFailureXml(message, INFO_ERRNO[code] ?? 0))
  } else {
    terminal.out(message)
    terminal.out(FAILED)
  }
  return INFO_STATUS[code] ?? exitStatus
}
