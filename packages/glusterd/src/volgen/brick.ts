/**
 * The volfile of a brick (glusterd-volgen.c): posix at the bottom, protocol/server at the top.
 */

import { parseBoolean } from '@ashlar/core'
import { isArbiter, type Brick, type Volume } from '../volume/volume.ts'
import { GraphDraft, type NodeDraft } from './draft.ts'
import { setIoStats } from './io-stats.ts'
import { isOn } from './switches.ts'
import { setTls } from './tls.ts'

export interface BrickPlace {
  readonly workDirectory: string
  /** UUID of this server: bricks of others get no share count. */
  readonly peer: string
}

/** Text of the volfile of `volume.bricks[index]`. */
export function brickVolfile(volume: Volume, index: number, place: BrickPlace): string {
  const brick = volume.bricks[index] as Brick
  const { name, options } = volume
  const graph = new GraphDraft()
  const quota = isOn(options, 'features.quota')
  const bitrot = isOn(options, 'features.bitrot')

  const posix = graph.over('storage/posix', `${name}-posix`)
  posix.set('directory', brick.path).set('volume-id', volume.id)
  if (quota || isOn(options, 'features.trash') || isOn(options, 'storage.build-pgfid')) {
    posix.set('update-link-count-parent', 'on')
  }
  if (isOn(options, 'storage.fips-mode-rchecksum')) posix.set('fips-mode-rchecksum', 'on')
  posix.set('shared-brick-count', sharedBricks(volume, brick, place.peer))

  if (isArbiter(volume, index)) graph.over('features/arbiter', `${name}-arbiter`)
  graph
    .over('features/trash', `${name}-trash`)
    .set('trash-dir', '.trashcan')
    .set('brick-path', brick.path)
    .set('trash-internal-op', 'off')
  graph
    .over('features/changelog', `${name}-changelog`)
    .set('changelog-brick', brick.path)
    .set('changelog-dir', `${brick.path}/.glusterfs/changelogs`)
    .set('changelog-notification', bitrot ? 'on' : 'off')
  graph
    .over('features/bitrot-stub', `${name}-bitrot-stub`)
    .set('export', brick.path)
    .set('bitrot', options.get('features.bitrot') ?? 'disable')
  if (isOn(options, 'features.acl')) {
    graph.over('features/access-control', `${name}-access-control`)
  }
  graph.over('features/locks', `${name}-locks`)
  graph.over('features/worm', `${name}-worm`)
  graph.over('features/read-only', `${name}-read-only`).set('read-only', 'off')
  graph.over('features/leases', `${name}-leases`)
  graph.over('features/upcall', `${name}-upcall`)
  graph.over('performance/io-threads', `${name}-io-threads`)
  graph.over('features/selinux', `${name}-selinux`)
  graph
    .over('features/marker', `${name}-marker`)
    .set('volume-uuid', volume.id)
    .set('timestamp-file', `${place.workDirectory}/vols/${name}/marker.tstamp`)
    .set('quota-version', volume.quotaVersion)
  graph.over('features/barrier', `${name}-barrier`)
  setWatchlists(graph.over('features/index', `${name}-index`), volume, brick)
  graph
    .over('features/quota', `${name}-quota`)
    .set('volume-uuid', name)
    .set('server-quota', quota ? 'on' : 'off')
  if (isOn(options, 'network.compression'))
    graph.over('features/cdc', `${name}-cdc`).set('mode', 'server')
  if (isOn(options, 'features.tag-namespaces'))
    graph.over('features/namespace', `${name}-namespace`)
  if (isOn(options, 'features.sdfs')) graph.over('features/sdfs', `${name}-sdfs`)
  const stats = graph
    .over('debug/io-stats', brick.path)
    .set('unique-id', brick.path)
    .set('volume-id', volume.id)
  setIoStats(stats, 'brick', options)
  setServer(graph.over('protocol/server', `${name}-server`), volume, brick.path)
  graph.applyTable(options)
  return graph.print()
}

/** Bricks of the volume on the same file system of this server: they share its free space. */
function sharedBricks(volume: Volume, brick: Brick, peer: string): number {
  if (brick.peer !== peer) return 0
  return volume.bricks.filter(other => other.peer === peer && other.fsid === brick.fsid).length
}

function setWatchlists(index: NodeDraft, volume: Volume, brick: Brick): void {
  index.set('index-base', `${brick.path}/.glusterfs/indices`)
  if (volume.kind === 'disperse') {
    index.set('xattrop64-watchlist', 'trusted.ec.dirty')
    return
  }
  index.set('xattrop-dirty-watchlist', 'trusted.afr.dirty')
  index.set('xattrop-pending-watchlist', `trusted.afr.${volume.name}-`)
}

function setServer(server: NodeDraft, volume: Volume, path: string): void {
  const { options } = volume
  server.set('transport-type', volume.transport === 'rdma' ? 'rdma' : 'tcp')
  setTls(server, options)
  const family = options.get('transport.address-family')
  if (family !== undefined) server.set('transport.address-family', family)
  setLogin(server, volume, path)
  const sslAllow = options.get('auth.ssl-allow')
  if (sslAllow !== undefined) server.set(`auth.login.${path}.ssl-allow`, sslAllow)
  server.set(`auth.addr.${path}.allow`, options.get('auth.allow') ?? '*')
  const reject = options.get('auth.reject')
  if (reject !== undefined) server.set(`auth.addr.${path}.reject`, reject)
}

/** The volume's own credentials, by which trusted clients are known. */
export function setLogin(server: NodeDraft, volume: Volume, path: string): void {
  server.set(`auth.login.${path}.allow`, volume.username)
  server.set(`auth.login.${volume.username}.password`, volume.password)
  server.set('auth-path', path)
}

/** True when the volume's bricks take TLS. */
export function bricksUseTls(volume: Volume): boolean {
  return parseBoolean(volume.options.get('server.ssl') ?? 'off') === true
}
