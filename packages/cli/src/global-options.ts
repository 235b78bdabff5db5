/**
 * Options that stand before, behind or between the words of any command
 * (cli/src/cli.c).
 */

export interface GlobalOptions {
  readonly format: 'text' | 'xml' | 'json'
  /** Questions are not asked and taken as answered with yes. */
  readonly script: boolean
  /** Unix socket of glusterd's API; undefined: the default. */
  readonly socket: string | undefined
  /** Checks of bricks are skipped, as with `force`. */
  readonly ignoreWarnings: boolean
  /** How long an answer may take. */
  readonly timeoutSeconds: number | undefined
}

/** What the command line asks for besides commands. */
export type Immediate = 'help' | 'version' | 'logdir' | 'statedumpdir'

export interface Problem {
  readonly text: string
  /** The usage follows. */
  readonly usage: boolean
  /** Where not the usual ones: the exit status, and standard error. */
  readonly status?: number
}

export interface ParsedLine {
  readonly words: readonly string[]
  readonly options: GlobalOptions
  readonly immediate: Immediate | undefined
  /** An option that is not known, or a value that it cannot have. */
  readonly problem: Problem | undefined
}

/** Options that are accepted for scripts' sake and have nothing to do here. */
const WITHOUT_EFFECT = new Set(['nolog', 'log-file', 'inet6', 'secure-mgmt'])

const LOG_LEVELS = new Set(['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'TRACE', 'NONE'])
/** Exit status of a timeout that is none: −2, as GlusterFS has it. */
const BAD_TIMEOUT = 254

const IMMEDIATE: Readonly<Record<string, Immediate>> = {
  help: 'help',
  version: 'version',
  'print-logdir': 'logdir',
  'print-statedumpdir': 'statedumpdir',
}

/** Splits a command line into words and options. */
export function parseLine(argv: readonly string[]): ParsedLine {
  const words: string[] = []
  const options = {
    format: 'text' as GlobalOptions['format'],
    script: false,
    socket: undefined as string | undefined,
    ignoreWarnings: false,
    timeoutSeconds: undefined as number | undefined,
  }
  let immediate: Immediate | undefined
  let problem: ParsedLine['problem']
  const verbatim = isGeoConfig(argv)
  let open = !verbatim
  for (const word of argv) {
    if (open && word === '-V') {
      immediate ??= 'version'
      continue
    }
    if (!open || !word.startsWith('--')) {
      words.push(word)
      continue
    }
    if (word === '--') {
      open = false
      continue
    }
    const [name, value] = splitOption(word)
    const known = IMMEDIATE[name]
    if (known !== undefined) immediate ??= known
    else problem ??= applyOption(options, name, value, word)
  }
  return { words, options, immediate, problem }
}

/** `volume geo-replication V URL config …` takes no options at all. */
function isGeoConfig(argv: readonly string[]): boolean {
  return argv[1]?.startsWith('geo') === true && argv[4]?.startsWith('co') === true
}

function splitOption(word: string): [string, string | undefined] {
  const at = word.indexOf('=')
  return at < 0 ? [word.slice(2), undefined] : [word.slice(2, at), word.slice(at + 1)]
}

function applyOption(
  options: { -readonly [K in keyof GlobalOptions]: GlobalOptions[K] },
  name: string,
  value: string | undefined,
  word: string,
): ParsedLine['problem'] {
  switch (name) {
    case 'xml':
      options.format = 'xml'
      return undefined
    case 'json':
      options.format = 'json'
      return undefined
    case 'mode':
      if (value !== 'script' && value !== 'interactive') break
      options.script = value === 'script'
      return undefined
    case 'glusterd-sock':
    case 'api-socket':
      if (value === undefined) break
      options.socket = value
      return undefined
    case 'wignore':
    case 'wignore-partition':
      options.ignoreWarnings = true
      return undefined
    case 'timeout': {
      if (value === undefined) break
      const seconds = Number(value)
      if (!Number.isInteger(seconds) || seconds <= 0) {
        const text = 'timeout value should be a positive integer'
        return { text, usage: false, status: BAD_TIMEOUT }
      }
      options.timeoutSeconds = seconds
      return undefined
    }
    case 'remote-host':
      return { text: 'Managing another host is not available yet.', usage: false }
    case 'log-level':
      if (!LOG_LEVELS.has(value ?? '')) break
      return undefined
    default:
      if (WITHOUT_EFFECT.has(name)) return undefined
  }
  return { text: `unrecognized option ${word}`, usage: true }
}
