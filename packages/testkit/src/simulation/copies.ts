/** The bricks of a set side by side: what differs between them, and what heals have left behind. */

import { gfidText, S_IFMT } from '@ashlar/core'
import { isShared } from './shared-xattrs.ts'
import type { MemoryFile } from '../memory/memory-file.ts'
import type { SimulatedBrick, SimulatedCluster } from './cluster.ts'
import { isZero } from './counters.ts'

const ASIDE_PREFIX = '.glusterfs-anonymous-inode'

/** Everything of a brick that all bricks of its set are to agree on, by path. */
export function treeOf(brick: SimulatedBrick, withData: boolean): Map<string, string> {
  const tree = new Map<string, string>()
  const visit = (file: MemoryFile, path: string): void => {
    const xattrs = [...file.xattrs]
      .filter(([name]) => isShared(name))
      .map(([name, value]) => `${name}=${value.toString('latin1')}`)
      .sort()
    const isFile = (file.mode & S_IFMT) === 0o100000
    const data = isFile && withData ? file.pages.read(0, file.pages.size).toString('latin1') : ''
    const links = file.isDirectory ? '' : ` links ${file.nlink}`
    tree.set(
      path === '' ? '/' : path,
      `${gfidText(file.gfid)} mode ${file.mode.toString(8)} owner ${file.uid}:${file.gid}${links}` +
        ` target ${file.target} xattrs [${xattrs.join(' ')}] ${data.length} bytes ${data}`,
    )
    const names = [...file.entries.keys()].sort()
    for (const name of names) {
      if (path === '' && name.startsWith(ASIDE_PREFIX)) continue
      visit(file.entries.get(name)?.file as MemoryFile, `${path}/${name}`)
    }
  }
  visit(brick.disk.store.root, '')
  return tree
}

/** In what the copies of each set differ. */
export function differences(cluster: SimulatedCluster): string[] {
  const { plan } = cluster
  const found: string[] = []
  for (let set = 0; set < plan.sets; set++) {
    const first = set * plan.setSize
    const members = cluster.bricks.slice(first, first + plan.setSize)
    const arbiter = plan.arbiter ? members.at(-1) : undefined
    const dataBricks = members.filter(brick => brick !== arbiter)
    found.push(...compare(dataBricks, true))
    if (arbiter !== undefined)
      found.push(...compare([dataBricks[0] as SimulatedBrick, arbiter], false))
    for (const brick of members) found.push(...leftovers(brick))
  }
  return found
}

function compare(bricks: readonly SimulatedBrick[], withData: boolean): string[] {
  const [one, ...others] = bricks.map(brick => ({ brick, tree: treeOf(brick, withData) }))
  if (one === undefined) return []
  const found: string[] = []
  for (const other of others) {
    for (const path of new Set([...one.tree.keys(), ...other.tree.keys()])) {
      const [left, right] = [one.tree.get(path), other.tree.get(path)]
      if (left === right) continue
      found.push(
        `${path} differs:\n    ${one.brick.name}: ${brief(left)}\n    ${other.brick.name}: ${brief(right)}`,
      )
    }
  }
  return found
}

function brief(text: string | undefined): string {
  return (text ?? 'not there').replaceAll('\0', '.').slice(0, 900)
}

/**
 * Changelogs, heal indices and what was put aside: all is to be empty after heals. Noted names may
 * stay: an operation that was refused does not know whether the note was there before it.
 */
function leftovers(brick: SimulatedBrick): string[] {
  const found: string[] = []
  const { disk, name } = brick
  const visit = (file: MemoryFile, path: string): void => {
    for (const [key, value] of file.xattrs) {
      if (key.startsWith('trusted.afr.') && !isZero(value))
        found.push(`${name}: ${path} ${gfidText(file.gfid)} has ${key}=${value.toString('hex')}`)
    }
    for (const entry of file.entries.values()) visit(entry.file, `${path}/${entry.name}`)
  }
  visit(disk.store.root, '')
  for (const gfid of disk.pending) found.push(`${name}: pending index has ${gfidText(gfid)}`)
  for (const gfid of disk.dirty) found.push(`${name}: dirty index has ${gfidText(gfid)}`)
  for (const [entry, { file }] of disk.store.root.entries) {
    if (entry.startsWith(ASIDE_PREFIX) && file.entries.size > 0)
      found.push(`${name}: put aside: ${[...file.entries.keys()].join(' ')}`)
  }
  return found
}

/** Locks that bricks still have, as their statedumps tell them. */
export function heldLocks(cluster: SimulatedCluster): string[] {
  return cluster.bricks.flatMap(brick => {
    const dump = brick.volume?.graph.xlator('locks')?.dump?.() ?? {}
    if (dump['locked-inodes'] === 0) return []
    return Object.entries(dump).map(([key, text]) => `${brick.name}: ${key} ${String(text)}`)
  })
}
