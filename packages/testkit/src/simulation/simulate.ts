/**
 * One simulation: a volume, clients at work, things that go wrong, repair and healing, and then the
 * question whether every promise was kept. Everything follows from the seed.
 */

import { createHash } from 'node:crypto'
import { type SimulatedClient, SimulatedCluster } from './cluster.ts'
import { differences, heldLocks, treeOf } from './copies.ts'
import { Dice } from './dice.ts'
import { blockRegister, History, nameRegister, valuesOf } from './history.ts'
import { Incidents } from './incidents.ts'
import { makePlan, type Plan, type PlanWishes, planText } from './plan.ts'
import { checkReads, Registers } from './registers.ts'
import { Workload } from './workload.ts'

/** Longest time for all clients to do their work. */
const WORK_MS = 240_000
/** What an operation takes with the pause before it, about; and in a crowd. */
const OPERATION_MS = 150
const CROWDED_MS = 15
/** Time between two looks at whether everything is healed, and how many there are at most. */
const LOOK_MS = 5000
const LOOKS_MAX = 60
/** See `Run.#slackMs`: the second, and the time for an answer. */
const SLACK_MS = 1100
const INFO_MS = 60_000
/** Looks before a full heal is asked for. */
const FULL_AFTER = 40

export interface Simulation {
  readonly plan: Plan
  /** What is wrong; empty: every promise was kept. */
  readonly problems: readonly string[]
  /** The history, line by line. */
  readonly lines: readonly string[]
  /** Of the history and the state at the end: two runs of a seed have the same. */
  readonly digest: string
  readonly operations: number
  readonly events: number
}

export async function simulate(seed: number, wishes: PlanWishes = {}): Promise<Simulation> {
  const plan = makePlan(seed, wishes)
  const run = new Run(plan)
  return run.run()
}

class Run {
  readonly #plan: Plan
  readonly #cluster: SimulatedCluster
  readonly #history: History
  readonly #problems: string[] = []
  readonly #workloads: Workload[] = []
  /** Clients that died do not end their work. */
  readonly #dead = new Set<Workload>()

  constructor(plan: Plan) {
    this.#plan = plan
    this.#history = new History(() => this.#cluster.timeline.now)
    this.#cluster = new SimulatedCluster(plan, text => this.#log(text))
  }

  #log(text: string): void {
    this.#history.note(text)
    if (text.includes(' C ')) this.#problems.push(`critical: ${text}`)
  }

  async run(): Promise<Simulation> {
    const { timeline } = this.#cluster
    this.#history.note(`seed ${this.#plan.seed}: ${planText(this.#plan)}`)
    await this.#cluster.start()
    await timeline.run(timeline.now + 200)
    if (this.#plan.sets > 1) await this.#layRoot()
    for (const client of this.#cluster.clients) this.#work(client)
    const incidents = new Incidents({
      cluster: this.#cluster,
      dice: new Dice(this.#plan.seed, 'incidents'),
      note: text => this.#history.note(text),
      clientDied: (index, told) => this.#clientDied(index, told),
    })
    const { operations, crowded } = this.#plan
    incidents.schedule(operations * (crowded ? CROWDED_MS : OPERATION_MS))
    const ended = await timeline.run(timeline.now + WORK_MS, () => this.#allDone())
    if (!ended) this.#problems.push('clients have not ended their work: something hangs')
    this.#history.note('--- repair')
    await incidents.repair()
    await this.#settle()
    await this.#check()
    return {
      plan: this.#plan,
      problems: this.#problems,
      lines: this.#history.lines,
      digest: this.#digest(),
      operations: this.#history.operations.length,
      events: timeline.count,
    }
  }

  /** The first lookup of the root gives it its layout. */
  async #layRoot(): Promise<void> {
    const { timeline, clients } = this.#cluster
    const [one] = clients
    let done = false
    one?.volume
      .lookup('/')
      .then(() => (done = true))
      .catch((bug: unknown) => this.#log(` C ${String(bug)}`))
    await timeline.run(timeline.now + 5000, () => done)
  }

  #work(client: SimulatedClient): void {
    const dice = new Dice(this.#plan.seed, `work ${client.name}`)
    const workload = new Workload({
      client,
      history: this.#history,
      dice,
      operations: Math.ceil(this.#plan.operations * dice.between(0.6, 1.2)),
      complete: this.#plan.sets === 1 && !this.#plan.arbiter,
      crowded: this.#plan.crowded,
    })
    this.#workloads.push(workload)
    workload.done.catch((bug: unknown) => {
      const text = bug instanceof Error ? (bug.stack ?? bug.message) : String(bug)
      this.#problems.push(`${client.name} threw: ${text}`)
      workload.finished = true
    })
  }

  #allDone(): boolean {
    return this.#workloads.every(each => each.finished || this.#dead.has(each))
  }

  #clientDied(index: number, told: boolean): void {
    const client = this.#cluster.clients[index] as SimulatedClient
    this.#history.note(`--- ${client.name} dies${told ? '' : ' without a word'}`)
    this.#cluster.stopClient(client, told)
    this.#dead.add(this.#workloads[index] as Workload)
    this.#cluster
      .addClient()
      .then(next => this.#work(next))
      .catch((bug: unknown) => this.#log(` C ${String(bug)}`))
  }

  /** Lets the healer do its work, until nothing differs any more. */
  async #settle(): Promise<void> {
    const { timeline } = this.#cluster
    for (let look = 0; look < LOOKS_MAX; look++) {
      await timeline.run(timeline.now + LOOK_MS)
      if (differences(this.#cluster).length === 0 && heldLocks(this.#cluster).length === 0) return
      if (look === FULL_AFTER) {
        this.#history.note('--- full heal')
        for (const found of differences(this.#cluster)) this.#history.note(`  ${found}`)
        for (const healer of this.#cluster.healers) healer.healFull()
      }
    }
  }

  async #check(): Promise<void> {
    const problems = this.#problems
    problems.push(...checkReads(this.#history, this.#slackMs))
    problems.push(...heldLocks(this.#cluster))
    const differing = differences(this.#cluster)
    if (!this.#promises) problems.push(...(await this.#untold(differing)))
    else if (differing.length > 0) problems.push(...differing)
    else problems.push(...this.#checkState())
    if (problems.length > 0) this.#history.note(`--- wrong: ${problems.join('\n')}`)
  }

  /**
   * Without quorum both sides of a partition may change the same: nobody promises to undo that, nor
   * that what one side has acknowledged is seen on the other.
   */
  get #promises(): boolean {
    return this.#plan.quorum || this.#plan.troubles.length === 0
  }

  /** How old the answer of a read may be. */
  get #slackMs(): number {
    if (!this.#promises) return Number.POSITIVE_INFINITY
    // While heal indices are empty one brick speaks for all; other clients' blame is seen after 1 s.
    return this.#plan.troubles.length === 0 ? 0 : SLACK_MS
  }

  /** Copies differ, and `heal info` says nothing of it. */
  async #untold(differing: readonly string[]): Promise<readonly string[]> {
    if (differing.length === 0) return []
    const infos = Promise.all(this.#cluster.healers.map(healer => healer.info()))
    let told: boolean | undefined
    infos
      .then(all => {
        told = all.flat().some(brick => !('ok' in brick.entries) && brick.entries.length > 0)
      })
      .catch((bug: unknown) => this.#log(` C ${String(bug)}`))
    const { timeline } = this.#cluster
    await timeline.run(timeline.now + INFO_MS, () => told !== undefined)
    return told === true ? [] : ['heal info says nothing of this:', ...differing]
  }

  /** What the copies have in the end is what a reader would have been right to see. */
  #checkState(): string[] {
    const registers = new Registers(this.#history)
    const now = this.#cluster.timeline.now
    const found: string[] = []
    const look = (register: string, value: string): void => {
      const read = { value, started: now, ended: now, by: 'the end' }
      const problem = registers.problem(register, read)
      if (problem !== undefined) found.push(problem)
    }
    const names = new Set<string>()
    for (const operation of this.#history.operations)
      for (const register of operation.writes.keys()) names.add(register)
    for (let set = 0; set < this.#plan.sets; set++) {
      const brick = this.#cluster.brick(set * this.#plan.setSize)
      for (const file of brick.disk.store.files()) {
        const gfid = file.gfidText
        // Distribute's pointers to a file of another set have its gfid and none of its content.
        const pointer = file.xattrs.has('trusted.glusterfs.dht.linkto')
        if (file.isRegular && !pointer) {
          const content = file.pages.read(0, file.pages.size)
          for (const [block, value] of valuesOf(content).entries())
            if (names.has(blockRegister(gfid, block))) look(blockRegister(gfid, block), value)
        }
        if (!file.isDirectory || this.#plan.sets > 1) continue
        for (const register of names) {
          const [directory, , name] = register.split(' ') as [string, string, string]
          if (directory !== gfid || register !== nameRegister(gfid, name)) continue
          look(register, file.entries.get(name)?.file.gfidText ?? '-')
        }
      }
    }
    return found
  }

  #digest(): string {
    const hash = createHash('sha256')
    for (const line of this.#history.lines) hash.update(`${line}\n`)
    for (const brick of this.#cluster.bricks)
      for (const [path, state] of treeOf(brick, true)) hash.update(`${path} ${state}\n`)
    return hash.digest('hex')
  }
}
