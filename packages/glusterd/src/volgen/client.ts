/**
 * The volfiles of clients (glusterd-volgen.c): protocol/client for every brick, the cluster
 * translators, then performance translators as the volume's options say.
 */

import { distributeCount, leafCount, type Volume } from '../volume/volume.ts'
import { GraphDraft, type NodeDraft } from './draft.ts'
import { setIoStats } from './io-stats.ts'
import { setLogin } from './brick.ts'
import { isOn } from './switches.ts'
import { setTls } from './tls.ts'

/** A client that holds the volume's credentials, or one that must pass `auth.allow`. */
export type Trust = 'trusted' | 'plain'

/** Performance translators from the bottom up, with the key that switches each. */
const PERFORMANCE: readonly (readonly [key: string, translator: string])[] = [
  ['performance.write-behind', 'write-behind'],
  ['performance.read-ahead', 'read-ahead'],
  ['performance.readdir-ahead', 'readdir-ahead'],
  ['performance.io-cache', 'io-cache'],
  ['performance.open-behind', 'open-behind'],
  ['performance.quick-read', 'quick-read'],
  ['performance.nl-cache', 'nl-cache'],
  ['performance.stat-prefetch', 'md-cache'],
  ['performance.client-io-threads', 'io-threads'],
]

/** What mounts and the library load. */
export function clientVolfile(volume: Volume, trust: Trust): string {
  const graph = new GraphDraft()
  addClients(graph, volume, trust)
  addCluster(graph, volume)
  addFeatures(graph, volume)
  addPerformance(graph, volume, () => true)
  setIoStats(graph.over('debug/io-stats', volume.name), 'client', volume.options)
  graph.applyTable(volume.options)
  sendGids(graph)
  return graph.print()
}

/** The server half of gfproxy: everything but write-behind, under a server of its own. */
export function gfproxyServerVolfile(volume: Volume): string {
  const graph = new GraphDraft()
  addClients(graph, volume, 'trusted')
  addCluster(graph, volume)
  addFeatures(graph, volume)
  addPerformance(graph, volume, translator => translator !== 'write-behind')
  const top = `gfproxyd-${volume.name}`
  setIoStats(graph.over('debug/io-stats', top), 'client', volume.options)
  const server = graph.over('protocol/server', `${volume.name}-server`)
  server.set('transport-type', 'tcp')
  setLogin(server, volume, top)
  graph.applyTable(volume.options)
  sendGids(graph)
  return graph.print()
}

/** The client half of gfproxy. */
export function gfproxyClientVolfile(volume: Volume): string {
  const graph = new GraphDraft()
  addClient(graph, volume, {
    name: `${volume.name}-gfproxy-client`,
    subvolume: `gfproxyd-${volume.name}`,
    trust: 'trusted',
  })
  addFeatures(graph, volume)
  graph.over('features/quiesce', `${volume.name}-quiesce`)
  addPerformance(graph, volume, translator => translator === 'write-behind')
  setIoStats(graph.over('debug/io-stats', volume.name), 'client', volume.options)
  graph.applyTable(volume.options)
  sendGids(graph)
  return graph.print()
}

/** What the rebalance process loads; only volumes of several subvolumes have it. */
export function rebalanceVolfile(volume: Volume): string {
  const graph = new GraphDraft()
  addClients(graph, volume, 'trusted')
  addCluster(graph, volume, 'plain')
  setIoStats(graph.over('debug/io-stats', volume.name), 'client', volume.options)
  graph.applyTable(volume.options)
  return graph.print()
}

/** What the self-heal daemon loads; undefined for volumes that cannot heal. */
export function healVolfile(volume: Volume): string | undefined {
  if (volume.kind !== 'replicate' && volume.kind !== 'disperse') return undefined
  const graph = new GraphDraft()
  addClients(graph, volume, 'trusted')
  const sets = addSets(graph, volume)
  const { options } = volume
  for (const set of sets) {
    if (volume.kind === 'disperse') {
      const value = options.get('cluster.disperse-self-heal-daemon')
      set.set('self-heal-daemon', value ?? 'enable')
      continue
    }
    set.set('background-self-heal-count', 0)
    set.set('metadata-self-heal', 'on').set('data-self-heal', 'on').set('entry-self-heal', 'on')
    set.set('self-heal-daemon', options.get('cluster.self-heal-daemon') ?? 'enable')
  }
  graph.applyTable(options)
  for (const set of sets) set.set('iam-self-heal-daemon', 'yes')
  const top = graph.add(
    'debug/io-stats',
    volume.name,
    sets.map(set => set.name),
  )
  setIoStats(top, 'client', options)
  return graph.print()
}

/** Clients pass their users' groups along. */
function sendGids(graph: GraphDraft): void {
  for (const node of graph.nodes) if (node.type === 'protocol/client') node.set('send-gids', 'true')
}

function addClients(graph: GraphDraft, volume: Volume, trust: Trust): void {
  for (const brick of volume.bricks) {
    addClient(graph, volume, { name: brick.id, host: brick.hostname, subvolume: brick.path, trust })
  }
}

function addClient(
  graph: GraphDraft,
  volume: Volume,
  target: { name: string; host?: string; subvolume: string; trust: Trust },
): NodeDraft {
  const { options } = volume
  const client = graph.add('protocol/client', target.name, [])
  client.set('ping-timeout', options.get('network.ping-timeout') ?? '42')
  if (target.host !== undefined) client.set('remote-host', target.host)
  client.set('remote-subvolume', target.subvolume)
  client.set('transport-type', volume.transport === 'rdma' ? 'rdma' : 'tcp')
  const family = options.get('transport.address-family')
  if (family !== undefined) client.set('transport.address-family', family)
  if (target.trust === 'trusted') {
    client.set('username', volume.username).set('password', volume.password)
  }
  if (isOn(options, 'client.ssl')) client.set('transport.socket.ssl-enabled', 'true')
  setTls(client, options)
  return client
}

/** Replicate or disperse translators over the clients, in brick order; none for distribute. */
function addSets(graph: GraphDraft, volume: Volume): NodeDraft[] {
  if (volume.kind !== 'replicate' && volume.kind !== 'disperse') return []
  const width = leafCount(volume)
  const ids = volume.bricks.map(brick => brick.id)
  const sets: NodeDraft[] = []
  for (let n = 0; n < distributeCount(volume); n++) {
    const members = ids.slice(n * width, (n + 1) * width)
    if (volume.kind === 'disperse') {
      const set = graph.add('cluster/disperse', `${volume.name}-disperse-${n}`, members)
      sets.push(set.set('redundancy', volume.redundancyCount))
      continue
    }
    const set = graph.add('cluster/replicate', `${volume.name}-replicate-${n}`, members)
    set.set('afr-pending-xattr', members.join(',')).set('volume-id', volume.id)
    if (volume.arbiterCount > 0) set.set('arbiter-count', volume.arbiterCount)
    sets.push(set)
  }
  return sets
}

/** The sets, readdir-ahead below distribute when it is asked for, and distribute itself. */
function addCluster(graph: GraphDraft, volume: Volume, use: 'client' | 'plain' = 'client'): void {
  const { name, options } = volume
  const sets = addSets(graph, volume)
  let children = sets.length > 0 ? sets.map(set => set.name) : volume.bricks.map(brick => brick.id)
  if (use === 'client' && isOn(options, 'performance.parallel-readdir')) {
    children = children.map((child, n) => {
      const node = graph.add('performance/readdir-ahead', `${name}-readdir-ahead-${n}`, [child])
      const value = options.get('performance.readdir-ahead')
      if (value !== undefined) node.set('performance.readdir-ahead', value)
      return node.name
    })
  }
  const dht = graph.add(distributeType(options), `${name}-dht`, children)
  const leaving = volume.bricks.filter(brick => brick.decommissioned)
  if (leaving.length > 0) {
    const width = leafCount(volume)
    const names = new Set(
      leaving.map(brick => children[Math.floor(volume.bricks.indexOf(brick) / width)] as string),
    )
    dht.set('decommissioned-bricks', [...names].join(' '))
  }
}

function distributeType(options: ReadonlyMap<string, string>): string {
  if (isOn(options, 'cluster.nufa')) return 'cluster/nufa'
  if (isOn(options, 'cluster.switch')) return 'cluster/switch'
  return 'cluster/distribute'
}

function addFeatures(graph: GraphDraft, volume: Volume): void {
  const { name, options } = volume
  if (isOn(options, 'features.cloudsync')) graph.over('features/cloudsync', `${name}-cloudsync`)
  if (isOn(options, 'features.shard')) graph.over('features/shard', `${name}-shard`)
  if (isOn(options, 'features.ctime')) graph.over('features/utime', `${name}-utime`)
  if (isOn(options, 'network.compression')) {
    graph.over('features/cdc', `${name}-cdc`).set('mode', 'client')
  }
}

function addPerformance(
  graph: GraphDraft,
  volume: Volume,
  wanted: (translator: string) => boolean,
): void {
  const { name, options } = volume
  for (const [key, translator] of PERFORMANCE) {
    if (!wanted(translator) || !isOn(options, key)) continue
    if (translator === 'readdir-ahead' && isOn(options, 'performance.parallel-readdir')) continue
    const node = graph.over(`performance/${translator}`, `${name}-${translator}`)
    if (translator === 'open-behind' && isOn(options, 'server.root-squash')) {
      node.set('read-after-open', 'yes')
    }
  }
}
