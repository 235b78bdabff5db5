/**
 * Graph: builds the translators that a volfile names and binds their edges.
 *
 * Each fop of each edge is bound when the graph is built, straight to the nearest translator below
 * that implements it (of a layer with several children that says nothing, to its first). What
 * watches calls (latency, tracing) is put on edges here by `instrument`, never in translators.
 */

import { assert } from './assert.ts'
import { ContextKey } from './context.ts'
import { runSteps } from './compound.ts'
import type { Env } from './env.ts'
import { Errno } from './errno.ts'
import { Fd } from './fd.ts'
import { type Ctx, failure, FOP_NAMES, type FopName, type PlainFop, type Reply } from './fops.ts'
import { type Inode, InodeTable } from './inode.ts'
import type { Log } from './log.ts'
import { type OptionSchema, parseOptions } from './options.ts'
import { sameTopology, type Volfile, VolfileError, type VolfileNode } from './volfile.ts'
import type {
  AnyXlatorDefinition,
  GraphEvent,
  GraphInfo,
  ProcessInfo,
  Subvolume,
  Xlator,
} from './xlator.ts'

type AnyFop = (ctx: Ctx, args: never) => Promise<Reply<FopName>>

/** Wraps one fop of one edge; `from` is the upper translator's name, or '' above the top. */
export type Instrument = (edge: { from: string; to: string; fop: FopName }, call: AnyFop) => AnyFop

export interface GraphOptions {
  readonly volfile: Volfile
  /** By type. */
  readonly definitions: ReadonlyMap<string, AnyXlatorDefinition>
  readonly env: Env
  readonly process: ProcessInfo
  readonly id?: number
  /** Most inodes kept that nobody uses. */
  readonly lruLimit?: number
  readonly instrument?: Instrument
  /** Called with news that reach the top. */
  readonly onEvent?: (event: GraphEvent) => void
}

interface Node {
  readonly definition: AnyXlatorDefinition
  readonly source: VolfileNode
  readonly edges: Subvolume[]
  readonly children: Node[]
  readonly parents: { node: Node; edge: Subvolume }[]
  xlator: Xlator
  options: Record<string, unknown>
  texts: Map<string, string>
}

/** Most inodes a client keeps beyond those in use (`lru-limit`, fuse-bridge.c). */
export const LRU_LIMIT_DEFAULT = 65_536

export class Graph {
  readonly id: number
  readonly inodes: InodeTable
  /** The top of the graph, with every fop. */
  readonly top: Subvolume
  readonly info: GraphInfo
  readonly #nodes: readonly Node[]
  readonly #onEvent: ((event: GraphEvent) => void) | undefined
  readonly #releasers: readonly Xlator[]
  readonly #log: Log
  #volfile: Volfile
  #started = false

  /** Throws VolfileError, OptionError, or whatever a translator refuses with. */
  constructor(options: GraphOptions) {
    this.id = options.id ?? 0
    this.#volfile = options.volfile
    this.#onEvent = options.onEvent
    this.#log = options.env.log
    let forgetters: readonly Xlator[] = []
    this.inodes = new InodeTable({
      name: options.volfile.nodes.at(-1)?.name ?? '',
      lruLimit: options.lruLimit ?? LRU_LIMIT_DEFAULT,
      onForget: inode => {
        for (const xlator of forgetters) xlator.forget?.(inode)
      },
    })
    this.info = {
      id: this.id,
      leaves: leavesOf(options.volfile),
      volumeId: volumeIdOf(options.volfile),
      process: options.process,
    }
    this.#nodes = this.#build(options)
    const top = this.#nodes.at(-1) as Node
    this.top = makeEdge(top, '', 0, options.instrument)
    forgetters = this.#nodes.map(node => node.xlator).filter(xlator => xlator.forget !== undefined)
    this.#releasers = this.#nodes
      .map(node => node.xlator)
      .filter(xlator => xlator.release !== undefined)
  }

  get volfile(): Volfile {
    return this.#volfile
  }

  /** Starts every translator, leaves first. */
  async start(): Promise<void> {
    assert(!this.#started, 'a graph starts once')
    this.#started = true
    for (const node of this.#nodes) await node.xlator.start?.()
  }

  /** Stops every translator, top first. Errors of one do not keep the others from stopping. */
  async stop(): Promise<void> {
    if (!this.#started) return
    this.#started = false
    for (const node of [...this.#nodes].reverse()) {
      try {
        await node.xlator.stop?.()
      } catch (error) {
        this.#log.error('a translator failed to stop', {
          name: node.source.name,
          error: String(error),
        })
      }
    }
  }

  /**
   * Takes the options of a changed volfile. False when its topology differs: build a new graph.
   * Throws OptionError, changing nothing, when a value is bad.
   */
  reconfigure(volfile: Volfile): boolean {
    if (!sameTopology(this.#volfile, volfile)) return false
    const parsed = volfile.nodes.map((source, i) =>
      parseOptions((this.#nodes[i] as Node).definition.options as OptionSchema, source.options),
    )
    this.#nodes.forEach((node, i) => {
      Object.assign(node.options, parsed[i])
      node.texts.clear()
      for (const [key, value] of (volfile.nodes[i] as VolfileNode).options)
        node.texts.set(key, value)
    })
    this.#volfile = volfile
    for (const node of this.#nodes) node.xlator.reconfigure?.()
    return true
  }

  /** The translator of that name, for the host's management calls. */
  xlator(name: string): Xlator | undefined {
    return this.#nodes.find(node => node.source.name === name)?.xlator
  }

  /** Every translator with its type, leaves first. */
  *xlators(): IterableIterator<{ name: string; type: string; xlator: Xlator }> {
    for (const node of this.#nodes)
      yield { name: node.source.name, type: node.source.type, xlator: node.xlator }
  }

  /** An fd of this graph: its translators are told when it is released. */
  openFd(inode: Inode, options: { flags: number; pid: number }): Fd {
    return new Fd({ inode, ...options, onRelease: fd => this.#release(fd) })
  }

  /** An fd that no brick has open: for one request by gfid. */
  anonymousFd(inode: Inode, flags: number): Fd {
    return new Fd({ inode, flags, pid: 0, anonymous: true, onRelease: fd => this.#release(fd) })
  }

  /** A client of this brick has disconnected: every translator drops what it held for it. */
  clientGone(client: string): void {
    for (const node of this.#nodes) node.xlator.clientGone?.(client)
  }

  #release(fd: Fd): void {
    for (const xlator of this.#releasers) xlator.release?.(fd)
  }

  #build(options: GraphOptions): Node[] {
    const byName = new Map<string, Node>()
    const nodes: Node[] = []
    let slots = 0
    for (const source of options.volfile.nodes) {
      const definition = options.definitions.get(source.type)
      if (definition === undefined)
        throw new VolfileError(
          0,
          `no translator of type '${source.type}' (volume '${source.name}')`,
        )
      const children = source.subvolumes.map(name => byName.get(name) as Node)
      const edges = children.map((child, index) =>
        makeEdge(child, source.name, index, options.instrument),
      )
      const texts = new Map(source.options)
      const values = parseOptions(definition.options as OptionSchema, texts) as Record<
        string,
        unknown
      >
      const node: Node = {
        definition,
        source,
        edges,
        children,
        parents: [],
        xlator: {},
        options: values,
        texts,
      }
      children.forEach((child, i) => child.parents.push({ node, edge: edges[i] as Subvolume }))
      node.xlator = definition.create({
        name: source.name,
        type: source.type,
        env: { ...options.env, log: options.env.log.child(source.name) },
        options: values,
        texts,
        children: edges,
        get child(): Subvolume {
          assert(edges[0] !== undefined, `${source.name} has no child`)
          return edges[0]
        },
        inodes: this.inodes,
        graph: this.info,
        contextKey: <T>() => new ContextKey<T>(slots++),
        notify: event => this.#notifyParents(node, event),
        openFd: (inode, fd) => this.openFd(inode, fd),
        anonymousFd: (inode, flags) => this.anonymousFd(inode, flags),
        clientGone: client => this.clientGone(client),
      })
      byName.set(source.name, node)
      nodes.push(node)
    }
    return nodes
  }

  #notifyParents(node: Node, event: GraphEvent): void {
    if (node.parents.length === 0) {
      this.#onEvent?.(event)
      return
    }
    for (const { node: parent, edge } of node.parents) {
      if (parent.xlator.notify !== undefined) parent.xlator.notify(event, edge)
      else this.#notifyParents(parent, event)
    }
  }
}

/** As `debug/io-stats` at the top of client and brick graphs tells it. */
function volumeIdOf(volfile: Volfile): string | undefined {
  return volfile.nodes.findLast(node => node.type === 'debug/io-stats')?.options.get('volume-id')
}

/** Names of nodes without subvolumes, in depth-first order from the top. */
function leavesOf(volfile: Volfile): string[] {
  const byName = new Map(volfile.nodes.map(node => [node.name, node]))
  const leaves: string[] = []
  const visit = (name: string): void => {
    const node = byName.get(name) as VolfileNode
    if (node.subvolumes.length === 0) leaves.push(name)
    for (const child of node.subvolumes) visit(child)
  }
  const top = volfile.nodes.at(-1)
  if (top !== undefined) visit(top.name)
  return [...new Set(leaves)]
}

/**
 * The view of `child` from above. A translator may choose its fops by its options in `create`: the
 * child is complete before its parent is made.
 */
function makeEdge(
  child: Node,
  from: string,
  index: number,
  instrument: Instrument | undefined,
): Subvolume {
  const edge: Record<string, unknown> = {
    name: child.source.name,
    type: child.source.type,
    index,
    leaves: leafNames(child),
  }
  for (const fop of FOP_NAMES) {
    const bound = bind(child, fop)
    edge[fop] =
      instrument === undefined ? bound.call : instrument({ from, to: bound.name, fop }, bound.call)
  }
  const subvolume = edge as unknown as Subvolume
  const native = bindCompound(child)
  if (native === undefined) {
    subvolume.compound = (ctx, { steps }) => runSteps(subvolume, ctx, steps)
  } else {
    const { name, call } = native
    edge['compound'] =
      instrument === undefined ? call : instrument({ from, to: name, fop: 'compound' }, call)
  }
  return subvolume
}

/**
 * A compound goes whole only to a translator that knows it, past layers that have nothing to say
 * about any fop. To every other its steps go one by one: each layer must see the fops it implements.
 */
function bindCompound(child: Node): { name: string; call: AnyFop } | undefined {
  for (let node: Node | undefined = child; node !== undefined; node = node.children[0]) {
    const { xlator } = node
    if (xlator.compound !== undefined)
      return { name: node.source.name, call: xlator.compound.bind(xlator) as AnyFop }
    if (node.children.length !== 1 || FOP_NAMES.some(fop => xlator[fop] !== undefined)) break
  }
  return undefined
}

function leafNames(node: Node): string[] {
  if (node.children.length === 0) return [node.source.name]
  return [...new Set(node.children.flatMap(leafNames))]
}

function bind(child: Node, fop: PlainFop): { name: string; call: AnyFop } {
  for (let node: Node | undefined = child; node !== undefined; node = node.children[0]) {
    const method = node.xlator[fop] as AnyFop | undefined
    if (method !== undefined) return { name: node.source.name, call: method.bind(node.xlator) }
  }
  return { name: child.source.name, call: () => Promise.resolve(failure(Errno.EOPNOTSUPP)) }
}
