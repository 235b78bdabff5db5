/**
 * debug/io-stats: the top of every graph. Counts and times what passes when it is told to
 * (`volume profile`), and carries the process's log level. With nothing to count a call passes it
 * straight through.
 */

import {
  type ContextKey,
  type Ctx,
  defineOptions,
  defineXlator,
  type Fd,
  FOP_NAMES,
  type FopArgs,
  type FopName,
  parseLogLevel,
  type Reply,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { Interval } from './statistics.ts'

const options = defineOptions({
  'latency-measurement': {
    kind: 'bool',
    default: 'off',
    since: 1,
    doc: 'Measure how long each operation takes.',
  },
  'count-fop-hits': { kind: 'bool', default: 'off', since: 1, doc: 'Count operations.' },
  'log-level': {
    kind: 'string',
    default: 'INFO',
    since: 1,
    doc: 'Least severe lines that the log keeps.',
  },
})

const OPENS: ReadonlySet<FopName> = new Set<FopName>(['open', 'create', 'opendir'])

type Self = XlatorSelf<typeof options>
type AnyFop = (ctx: Ctx, args: FopArgs[FopName]) => Promise<Reply<FopName>>

class IoStats {
  readonly #self: Self
  readonly #counted: ContextKey<boolean>
  /** Open fds, of those opened while there was something to count. */
  #openFds = 0
  #openFdsMax = 0
  /** The log level comes from the volume. */
  #levelled = false
  #cumulative: Interval
  #interval: Interval

  constructor(self: Self) {
    this.#self = self
    this.#counted = self.contextKey<boolean>()
    this.#cumulative = new Interval(self.env.clock.monotonic())
    this.#interval = new Interval(self.env.clock.monotonic())
  }

  get measuring(): boolean {
    return this.#self.options['latency-measurement'] || this.#self.options['count-fop-hits']
  }

  async measured(
    fop: FopName,
    call: AnyFop,
    ctx: Ctx,
    args: FopArgs[FopName],
  ): Promise<Reply<FopName>> {
    const { clock } = this.#self.env
    const start = clock.monotonic()
    const reply = await call(ctx, args)
    const microseconds = (clock.monotonic() - start) * 1000
    if (reply.ok && OPENS.has(fop)) this.opened((args as FopArgs['open']).fd)
    for (const interval of [this.#cumulative, this.#interval]) {
      interval.called(fop, microseconds, reply.ok)
      if (!reply.ok) continue
      if (fop === 'readv') interval.read((reply as { data: Buffer }).data.length)
      else if (fop === 'writev') interval.wrote((reply as { written: number }).written)
    }
    return reply
  }

  /** The process's own level, from its command line, stands until the volume has one. */
  setLogLevel(): void {
    const given = this.#self.texts.has('log-level')
    if (!given && !this.#levelled) return
    this.#levelled = given
    const level = parseLogLevel(this.#self.options['log-level'])
    if (level !== undefined) this.#self.env.log.setLevel(level)
  }

  opened(fd: Fd): void {
    if (this.#counted.get(fd) === true) return
    this.#counted.set(fd, true)
    this.#openFds += 1
    if (this.#openFds > this.#openFdsMax) this.#openFdsMax = this.#openFds
  }

  closed(fd: Fd): void {
    if (this.#counted.get(fd) === true) this.#openFds -= 1
  }

  report(): Readonly<Record<string, unknown>> {
    const now = this.#self.env.clock.monotonic()
    const report = {
      openFds: this.#openFds,
      openFdsMax: this.#openFdsMax,
      cumulative: this.#cumulative.report(now),
      interval: this.#interval.report(now),
    }
    this.#interval = new Interval(now)
    return report
  }
}

function create(self: Self): Xlator {
  const stats = new IoStats(self)
  const fops: Record<string, unknown> = {}
  for (const fop of FOP_NAMES) {
    const call = self.child[fop] as AnyFop
    fops[fop] = (ctx: Ctx, args: FopArgs[FopName]) =>
      stats.measuring ? stats.measured(fop, call, ctx, args) : call(ctx, args)
  }
  return Object.assign(fops as Xlator, {
    start: () => stats.setLogLevel(),
    reconfigure: () => stats.setLogLevel(),
    release: (fd: Fd) => stats.closed(fd),
    dump: () => stats.report(),
  })
}

export const ioStats = defineXlator({ type: 'debug/io-stats', options, create })
