/**
 * GraphHost: the graph that a process runs, from its first volfile through all later ones. A change
 * of options is taken in place; a change of shape builds a second graph, which takes over when it is
 * up. A volfile that cannot be used leaves everything as it is.
 */

import {
  type AnyXlatorDefinition,
  type Env,
  globRegExp,
  Graph,
  type GraphEvent,
  type Instrument,
  type Log,
  parseVolfile,
  type ProcessInfo,
  sameTopology,
  type Volfile,
  type VolfileNode,
} from '@ashlar/core'
import { definitionsFor } from './definitions.ts'

export interface GraphHostOptions {
  readonly env: Env
  readonly process: ProcessInfo
  /** `PATTERN.KEY=VALUE`: options set on the nodes whose name matches the pattern. */
  readonly xlatorOptions?: readonly string[]
  readonly lruLimit?: number
  readonly instrument?: Instrument
  readonly onEvent?: (event: GraphEvent, graph: Graph) => void
  /** Which translators a volfile's graph is built from; those that we have when absent. */
  readonly definitions?: (volfile: Volfile, log: Log) => ReadonlyMap<string, AnyXlatorDefinition>
  /** A graph of another shape is built and started: let it take over; the old one is stopped after. */
  readonly onSwitch?: (next: Graph, old: Graph) => Promise<void>
}

export class GraphHost {
  readonly #options: GraphHostOptions
  #graph: Graph | undefined
  /** The graph that is about to take over. */
  #next: Graph | undefined
  #stopped = false
  #ids = 0
  #work: Promise<void> = Promise.resolve()

  constructor(options: GraphHostOptions) {
    this.#options = options
  }

  get graph(): Graph | undefined {
    return this.#graph
  }

  /** Takes a volfile's text, after those before it. Rejects when the first one is of no use. */
  apply(text: string): Promise<void> {
    const work = this.#work.then(() => this.#apply(text))
    this.#work = work.catch(() => undefined)
    return work
  }

  /** A graph that is about to take over is given up: it may be waiting for bricks that hang. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#next === undefined) await this.#work
    await Promise.all([this.#graph?.stop(), this.#next?.stop()])
  }

  async #apply(text: string): Promise<void> {
    const { env } = this.#options
    const current = this.#graph
    if (current === undefined) {
      this.#graph = this.#build(this.#parse(text))
      await this.#graph.start()
      return
    }
    try {
      const volfile = this.#parse(text)
      if (sameTopology(current.volfile, volfile)) {
        this.#definitions(volfile)
        current.reconfigure(volfile)
        env.log.info('options changed')
        return
      }
      await this.#switch(volfile, current)
    } catch (error) {
      env.log.error('a changed volfile is not taken', { reason: (error as Error).message })
    }
  }

  async #switch(volfile: Volfile, old: Graph): Promise<void> {
    const { env, onSwitch } = this.#options
    if (onSwitch === undefined) {
      env.log.warning(
        'the volume has another shape now; this process keeps the old one until it is started again',
      )
      return
    }
    if (this.#stopped) return
    const next = this.#build(volfile)
    this.#next = next
    try {
      await next.start()
      await onSwitch(next, old)
      if (this.#stopped) return
      this.#graph = next
    } finally {
      this.#next = undefined
    }
    await old.stop()
    env.log.info('switched to a new graph', { graph: next.id })
  }

  #build(volfile: Volfile): Graph {
    const { env, process, lruLimit, instrument, onEvent } = this.#options
    const graph: Graph = new Graph({
      volfile,
      definitions: this.#definitions(volfile),
      env,
      process,
      id: this.#ids++,
      ...(lruLimit === undefined ? {} : { lruLimit }),
      ...(instrument === undefined ? {} : { instrument }),
      onEvent: event => onEvent?.(event, graph),
    })
    return graph
  }

  #definitions(volfile: Volfile): ReadonlyMap<string, AnyXlatorDefinition> {
    const { env, definitions = definitionsFor } = this.#options
    return definitions(volfile, env.log)
  }

  #parse(text: string): Volfile {
    const volfile = parseVolfile(text)
    const { xlatorOptions = [] } = this.#options
    return { nodes: volfile.nodes.map(node => withOptions(node, xlatorOptions)) }
  }
}

function withOptions(node: VolfileNode, settings: readonly string[]): VolfileNode {
  const options = new Map(node.options)
  for (const setting of settings) {
    const match = /^(.+?)\.([^=]+)=(.*)$/s.exec(setting)
    if (match === null) continue
    const [, pattern, key, value] = match as unknown as [string, string, string, string]
    if (globRegExp(pattern).test(node.name)) options.set(key, value)
  }
  return { ...node, options }
}
