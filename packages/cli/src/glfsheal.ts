/**
 * The entry point behind bin/glfsheal: looks at what is to be healed in a volume, resolves its
 * split-brains, marks new bricks as empty. glusterd runs it and reads its JSON; a person gets text.
 */

import { parseArgs } from 'node:util'
import type { BrickHealView, ResolvedFileView } from '@ashlar/contract'
import { type Env, errnoText, openLog, parseLogLevel } from '@ashlar/core'
import { healIndexView, HealSession, processEnv, type SessionInfo } from '@ashlar/host'
import type { Resolved } from '@ashlar/xlators'
import { healInfoText, resolvedText } from './commands/heal-text.ts'

const USAGE = `Usage: glfsheal VOLUME [info | info-summary | split-brain-info]
       glfsheal VOLUME {bigger-file | latest-mtime} FILE
       glfsheal VOLUME source-brick HOST:BRICK [FILE]
       glfsheal VOLUME mark-empty BRICK-ID ...

      --json                     print JSON
      --no-paths                 name files by their gfids, which is quicker
  -s, --volfile-server=SERVER    server to fetch the volume file from [localhost]
      --volfile-server-port=PORT its port [24007]
  -l, --log-file=FILE            log file [/var/log/glusterfs/glfsheal-VOLUME.log]
  -L, --log-level=LEVEL          [INFO]
`

const FLAGS = {
  json: { type: 'boolean' },
  'no-paths': { type: 'boolean' },
  'volfile-server': { type: 'string', short: 's' },
  'volfile-server-port': { type: 'string' },
  'log-file': { type: 'string', short: 'l' },
  'log-level': { type: 'string', short: 'L' },
  help: { type: 'boolean' },
} as const

const GLUSTERD_PORT = 24_007
const KEEP_ALIVE_MS = 1_000

class UsageError extends Error {}

/** Resolves with the exit status. */
export async function runGlfsheal(argv: readonly string[]): Promise<number> {
  let question: Question
  let session: HealSession
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: FLAGS,
      allowPositionals: true,
    })
    if (values.help === true) return say(USAGE)
    question = {
      ...questionOf(positionals),
      json: values.json === true,
      paths: values['no-paths'] !== true,
    }
    const level = parseLogLevel(values['log-level'] ?? 'INFO') ?? 'info'
    const file = values['log-file'] ?? defaultLogFile(question.volume)
    const env: Env = processEnv(openLog({ area: 'glfsheal', level, file }))
    session = new HealSession({
      env,
      volume: question.volume,
      volfileServers: [
        {
          host: values['volfile-server'] ?? 'localhost',
          port: Number(values['volfile-server-port'] ?? GLUSTERD_PORT),
        },
      ],
    })
  } catch (error) {
    process.stderr.write(`glfsheal: ${(error as Error).message}\n\n${USAGE}`)
    return 1
  }
  // Timers of Env keep no process alive; until the sockets are there, this one must.
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS)
  try {
    await session.start()
    return await answer(session, question)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  } finally {
    await session.stop()
    clearInterval(alive)
  }
}

interface Question {
  readonly volume: string
  readonly verb: string
  readonly words: readonly string[]
  readonly json: boolean
  readonly paths: boolean
}

/** Words behind each verb: fewest and most. */
const VERBS: Readonly<Record<string, readonly [number, number]>> = {
  info: [0, 0],
  'info-summary': [0, 0],
  'split-brain-info': [0, 0],
  'bigger-file': [1, 1],
  'latest-mtime': [1, 1],
  'source-brick': [1, 2],
  'mark-empty': [1, Infinity],
}

function questionOf(positionals: readonly string[]): Omit<Question, 'json' | 'paths'> {
  const [volume, verb = 'info', ...words] = positionals
  const range = VERBS[verb]
  if (volume === undefined) throw new UsageError('name a volume')
  if (range === undefined) throw new UsageError(`'${verb}' is not known`)
  if (words.length < range[0] || words.length > range[1]) {
    throw new UsageError(`wrong number of words behind '${verb}'`)
  }
  return { volume, verb, words }
}

function defaultLogFile(volume: string): string {
  return `${process.env['ASHLAR_LOGDIR'] ?? '/var/log/glusterfs'}/glfsheal-${volume}.log`
}

async function answer(session: HealSession, question: Question): Promise<number> {
  const { verb, words, json, paths } = question
  const [first = '', second] = words
  switch (verb) {
    case 'mark-empty': {
      const failed = await session.markEmpty(words)
      if (failed !== undefined) throw new Error(errnoText(failed.errno))
      return say(json ? '{}\n' : '')
    }
    case 'bigger-file':
    case 'latest-mtime': {
      const files = (await session.resolve({ policy: verb }, first)).map(resolvedView)
      return say(json ? jsonText({ files }) : resolvedText(files))
    }
    case 'source-brick': {
      const files = (await session.resolve({ policy: verb, brick: first }, second)).map(
        resolvedView,
      )
      return say(json ? jsonText({ files }) : resolvedText(files))
    }
    default: {
      const bricks = (await session.info({ paths })).map(brickView)
      return say(json ? jsonText({ bricks }) : healInfoText(bricks, INFO_FORMS[verb] ?? 'all'))
    }
  }
}

const INFO_FORMS: Readonly<Record<string, 'all' | 'summary' | 'split-brain'>> = {
  'info-summary': 'summary',
  'split-brain-info': 'split-brain',
}

function resolvedView({ outcome, ...rest }: Resolved): ResolvedFileView {
  return { healed: outcome === 'healed', ...rest }
}

function brickView({ host, path, entries }: SessionInfo): Omit<BrickHealView, 'peer'> {
  const { entries: views, ...view } = healIndexView({ entries })
  return { host, path, ...view, entries: [...views] }
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}

function say(text: string): Promise<number> {
  return new Promise(resolve => {
    process.stdout.write(text, () => resolve(0))
  })
}
