/**
 * Scripted: one translator over a child whose every answer the test gives itself, on a clock that
 * stands still until it is told otherwise.
 */

import {
  type AnyXlatorDefinition,
  assert,
  type Clock,
  type Ctx,
  defineXlator,
  FOP_NAMES,
  type FopArgs,
  type FopName,
  Graph,
  type GraphEvent,
  Iatt,
  type Inode,
  offlineNetwork,
  parseVolfile,
  type Reply,
  S_IFREG,
  silentLog,
  systemRandom,
  type Timer,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'

/** Time as the test tells it. */
export class FakeClock implements Clock {
  #now = 1000
  readonly #timers = new Set<{ at: number; action: () => void }>()

  monotonic(): number {
    return this.#now
  }

  wall(): { sec: number; nsec: number } {
    return { sec: Math.floor(this.#now / 1000), nsec: (this.#now % 1000) * 1e6 }
  }

  after(ms: number, action: () => void): Timer {
    const timer = { at: this.#now + ms, action }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  /** Lets time pass; what falls due happens. */
  advance(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers) {
      if (timer.at > this.#now) continue
      this.#timers.delete(timer)
      timer.action()
    }
  }
}

/** A fop that has reached the child and waits for its answer. */
export interface PendingCall<F extends FopName = FopName> {
  readonly fop: F
  readonly ctx: Ctx
  readonly args: FopArgs[F]
  answered: boolean
  /** Resolves after everything that follows from the answer at once has happened. */
  answer(reply: Reply<F>): Promise<void>
}

export interface Scripted {
  readonly graph: Graph
  readonly clock: FakeClock
  /** Every call that has reached the child, in order. */
  readonly calls: PendingCall[]
  /** News that have reached the top. */
  readonly events: GraphEvent[]
  /** News from the child. */
  readonly notify: (event: GraphEvent) => void
  /** The oldest call of that fop without an answer; there must be one. */
  waiting<F extends FopName>(fop: F): PendingCall<F>
  /** Fops without an answer, in order. */
  readonly outstanding: readonly FopName[]
  /** An inode of a regular file that the table knows. */
  file(gfid: string): Inode
}

/** Lets all that has been decided happen. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Makes the graph: the translator of `definition` with `options` over the script. */
export function scripted(
  definition: AnyXlatorDefinition,
  options: Readonly<Record<string, string>> = {},
): Scripted {
  const clock = new FakeClock()
  const calls: PendingCall[] = []
  const events: GraphEvent[] = []
  let child: XlatorSelf | undefined
  const script = defineXlator({
    type: 'testing/script',
    options: {},
    create: self => {
      child = self
      return scriptFops(calls)
    },
  }) as AnyXlatorDefinition
  const texts = Object.entries(options).map(([key, value]) => `  option ${key} ${value}\n`)
  const graph = new Graph({
    volfile: parseVolfile(
      `volume child\n  type testing/script\nend-volume\n` +
        `volume top\n  type ${definition.type}\n${texts.join('')}  subvolumes child\nend-volume\n`,
    ),
    definitions: new Map([
      [script.type, script],
      [definition.type, definition],
    ]),
    env: { clock, random: systemRandom(), log: silentLog, network: offlineNetwork },
    process: { uuid: '', name: 'test', hostname: 'here', pid: 1, volfileId: 'v' },
    onEvent: event => events.push(event),
  })
  return {
    graph,
    clock,
    calls,
    events,
    notify: event => child?.notify(event),
    waiting<F extends FopName>(fop: F): PendingCall<F> {
      const call = calls.find(each => each.fop === fop && !each.answered)
      assert(call !== undefined, `no ${fop} waits for its answer`)
      return call as unknown as PendingCall<F>
    },
    get outstanding(): readonly FopName[] {
      return calls.filter(call => !call.answered).map(call => call.fop)
    },
    file: gfid => {
      const inode = graph.inodes.create()
      return graph.inodes.link(
        inode,
        { gfid: gfidOf(gfid), type: S_IFREG },
        graph.inodes.root,
        gfid,
      )
    },
  }
}

function scriptFops(calls: PendingCall[]): Xlator {
  const fops: Record<string, unknown> = {}
  for (const fop of FOP_NAMES) {
    fops[fop] = (ctx: Ctx, args: FopArgs[FopName]) =>
      new Promise<Reply<FopName>>(resolve => {
        const call: PendingCall = {
          fop,
          ctx,
          args,
          answered: false,
          answer(reply) {
            assert(!call.answered, 'a call is answered once')
            call.answered = true
            resolve(reply)
            return settled()
          },
        }
        calls.push(call)
      })
  }
  return fops as Xlator
}

/** A gfid from a short text. */
export function gfidOf(text: string): Inode['gfid'] {
  return text.padEnd(16, '-').slice(0, 16) as Inode['gfid']
}

/** Attributes of a regular file; both times are `time`, in seconds. */
export function fileStat(gfid: string, time: number, size = 0): Iatt {
  const stat = new Iatt()
  stat.gfid = gfidOf(gfid)
  stat.mode = S_IFREG | 0o644
  stat.nlink = 1
  stat.size = size
  stat.mtime = time
  stat.ctime = time
  return stat
}
