/**
 * The words of `volume create`: name, type, transport and bricks (cli/src/cli-cmd-parser.c).
 */

import type { CreateVolumeRequest } from '@ashlar/contract'
import { parseBricks } from '../brick-words.ts'
import { UsageError } from '../command.ts'
import { chooseWord } from '../grammar.ts'

/** Words that GlusterFS keeps for itself. */
const RESERVED = new Set([
  'volume',
  'type',
  'subvolumes',
  'option',
  'end-volume',
  'all',
  'volume_not_in_ring',
  'description',
  'force',
  'snap-max-hard-limit',
  'snap-max-soft-limit',
  'auto-delete',
  'activate-on-create',
  'help',
])
const NAME_CHARACTERS_MAX = 256
const OPTION_WORDS = [
  'replica',
  'transport',
  'disperse',
  'redundancy',
  'disperse-data',
  'arbiter',
  'thin-arbiter',
]

export interface CreateWords {
  readonly request: CreateVolumeRequest
  /** A question that must be answered with yes first. */
  readonly question: string | undefined
}

/** Asked before a volume of two copies is made. */
export const REPLICA_2 =
  'Replica 2 volumes are prone to split-brain. Use Arbiter or Replica 3 to avoid this. See: ' +
  'http://docs.gluster.org/en/latest/Administrator-Guide/Split-brain-and-ways-to-deal-with-it/.\n' +
  'Do you still want to continue?\n'

/** Throws UsageError with GlusterFS's message. */
export function parseCreateWords(words: readonly string[]): CreateWords {
  const [name, ...rest] = words
  if (name === undefined || rest.length === 0) throw new UsageError('')
  checkName(name)
  const counts = new Map<string, number | undefined>()
  let transport: 'tcp' | 'rdma' | 'tcp,rdma' = 'tcp'
  let at = 0
  for (; at < rest.length; at++) {
    const option = chooseOption(rest[at] as string)
    if (option === undefined) break
    if (option === 'transport') {
      if (counts.has(option)) {
        throw new UsageError("'transport' option given more than one time")
      }
      counts.set(option, undefined)
      transport = parseTransport(rest[++at])
      continue
    }
    if (counts.has(option)) throw new UsageError(`${option} option given twice`)
    const word = rest[at + 1]
    // `disperse` alone takes all bricks.
    if (option === 'disperse' && (word === undefined || !/^-?\d+$/.test(word))) {
      counts.set(option, undefined)
      continue
    }
    at += 1
    counts.set(option, parseCount(option, word, counts))
  }
  if (at >= rest.length) throw new UsageError('')
  const force = rest.at(-1) === 'force'
  const bricks = parseBricks(rest.slice(at, force ? -1 : undefined))
  const shape = counts.has('replica') ? replicaShape(counts) : disperseShape(counts, bricks.length)
  const splitBrain = shape.replica === 2 && shape.arbiter === undefined
  return {
    request: { name, transport, bricks, force, ...shape.request },
    question: splitBrain && !force ? REPLICA_2 : shape.question,
  }
}

function chooseOption(word: string): string | undefined {
  return word.includes(':') ? undefined : chooseWord(OPTION_WORDS, word)
}

function checkName(name: string): void {
  if (name === '') throw new UsageError('A volume needs a name.')
  if (name.startsWith('-') || name.includes('/')) throw new UsageError('')
  if (RESERVED.has(name)) throw new UsageError(`"${name}" cannot be the name of a volume.`)
  if (name.length > NAME_CHARACTERS_MAX) {
    throw new UsageError(`Volume name exceeds ${NAME_CHARACTERS_MAX} characters.`)
  }
  const bad = /[^A-Za-z0-9_-]/.exec(name)
  if (bad === null) return
  throw new UsageError(
    `Volume name should not contain "${bad[0]}" character.\n` +
      "Volume names can onlycontain alphanumeric, '-' and '_' characters.",
  )
}

function parseTransport(word: string | undefined): 'tcp' | 'rdma' | 'tcp,rdma' {
  const kind = word?.toLowerCase()
  if (kind === 'tcp' || kind === 'rdma') return kind
  if (kind === 'tcp,rdma' || kind === 'rdma,tcp') return 'tcp,rdma'
  throw new UsageError('')
}

const LEAST: Readonly<Record<string, readonly [number, string]>> = {
  replica: [2, 'replica count should be greater than 1'],
  disperse: [3, 'disperse count must be greater than 2\ndisperse option given twice'],
  'disperse-data': [2, 'disperse-data must be greater than 1 and less than equal to 16'],
  redundancy: [1, 'redundancy must be greater than 0\nredundancy option given twice'],
}

function parseCount(
  option: string,
  word: string | undefined,
  counts: ReadonlyMap<string, number | undefined>,
): number {
  if (option === 'arbiter' || option === 'thin-arbiter') {
    const count = leadingNumber(word ?? '')
    const replica = counts.get('replica')
    if (replica === undefined) {
      throw new UsageError(`${option} option must be preceded by replica option.`)
    }
    const fits = option === 'arbiter' ? replica === 2 || replica === 3 : replica === 2
    if (count !== 1 || !fits) {
      throw new UsageError(
        `For ${option} configuration, replica count must be 2 and ${option} count must be 1. ` +
          `The 3rd brick of the replica will be the ${option}${option === 'arbiter' ? '' : ' brick'}`,
      )
    }
    return count
  }
  if (word === undefined) throw new UsageError('')
  if (option !== 'replica' && !Number.isInteger(Number(word))) throw new UsageError('')
  const count = leadingNumber(word)
  const [least, message] = LEAST[option] ?? [0, '']
  if (count < least) throw new UsageError(message)
  return count
}

/** As strtol reads it: what stands behind the digits is not looked at, and nothing counts as none. */
function leadingNumber(word: string): number {
  return Number(/^[+-]?\d+/.exec(word)?.[0] ?? 0)
}

interface ParsedShape {
  readonly replica?: number
  readonly arbiter?: number | undefined
  readonly question?: string | undefined
  readonly request: Partial<CreateVolumeRequest>
}

function replicaShape(counts: ReadonlyMap<string, number | undefined>): ParsedShape {
  if (['disperse', 'disperse-data', 'redundancy'].some(option => counts.has(option))) {
    throw new UsageError('replicated-dispersed volume is not supported')
  }
  const replica = counts.get('replica') as number
  const arbiter = counts.get('arbiter')
  const thinArbiter = counts.get('thin-arbiter')
  return {
    replica,
    arbiter: arbiter ?? thinArbiter,
    request: {
      replica,
      ...(arbiter === undefined ? {} : { arbiter }),
      ...(thinArbiter === undefined ? {} : { thinArbiter }),
    },
  }
}

function disperseShape(
  counts: ReadonlyMap<string, number | undefined>,
  bricks: number,
): ParsedShape {
  if (!['disperse', 'disperse-data', 'redundancy'].some(option => counts.has(option))) {
    return { request: {} }
  }
  const data = counts.get('disperse-data')
  const given = counts.get('redundancy')
  const sum = data === undefined || given === undefined ? undefined : data + given
  const total = counts.get('disperse') ?? sum ?? bricks
  if (total <= 2) throw new UsageError('number of bricks must be greater than 2')
  if (data !== undefined && data + (given ?? total - data) !== total) {
    throw new UsageError(
      `Disperse count(${total}) should be equal to sum of disperse-data count(${data}) ` +
        `and redundancy count(${given})`,
    )
  }
  const limit = Math.floor((total - 1) / 2)
  const redundancy = given ?? (data === undefined ? undefined : total - data)
  if (redundancy !== undefined && (redundancy < 1 || redundancy > limit)) {
    throw new UsageError(
      'redundancy must be greater than or equal to 1 and ' +
        `less than ${limit + 1} for a disperse ${total} volume`,
    )
  }
  if (bricks % total !== 0) {
    throw new UsageError('number of bricks is not a multiple of disperse count')
  }
  if (redundancy !== undefined) return { request: { disperse: total, redundancy } }
  return automaticRedundancy(total, limit)
}

/** The largest that leaves a power of two for data; 1 when none does. */
function automaticRedundancy(total: number, limit: number): ParsedShape {
  for (let redundancy = limit; redundancy >= 1; redundancy--) {
    const data = total - redundancy
    if ((data & (data - 1)) !== 0) continue
    const question =
      redundancy === 1
        ? undefined
        : `The optimal redundancy for this configuration is ${redundancy}. ` +
          'Do you want to create the volume with this value ?'
    return { question, request: { disperse: total, redundancy } }
  }
  return {
    question:
      "There isn't an optimal redundancy value for this configuration. " +
      'Do you want to create the volume with redundancy 1 ?',
    request: { disperse: total, redundancy: 1 },
  }
}
