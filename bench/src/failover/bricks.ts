/** A volume's bricks in trouble: killed, frozen, started again, healed, compared. */

import { existsSync, readFileSync } from 'node:fs'
import { run, until } from '../command.ts'
import type { VolumeTarget } from '../target.ts'

const SERVED_SECONDS_MAX = 30
const DEAD_SECONDS_MAX = 10
/** GlusterFS took 57 seconds for a thousand files; its daemon looks again every ten minutes. */
export const HEAL_SECONDS_MAX = 900

/** Processes of the bricks, in order. */
export function brickPids(target: VolumeTarget): number[] {
  const xml = target.gluster('volume', 'status', target.volume, '--xml')
  const nodes = xml.split('<node>').slice(1)
  const pids: number[] = []
  for (let index = 0; ; index++) {
    const node = nodes.find(each => each.includes(`<path>${target.brickPath(index)}</path>`))
    if (node === undefined) return pids
    pids.push(Number(/<pid>(-?\d+)<\/pid>/.exec(node)?.[1] ?? -1))
  }
}

/** Signals the process of a brick. */
export function signalBrick(target: VolumeTarget, pid: number, name: NodeJS.Signals): void {
  if (!(pid > 1)) throw new Error(`${target.name}: a brick has no process`)
  process.kill(pid, name)
}

/** Waits until a process that was killed is gone; a zombie is. */
export async function gone(pid: number): Promise<void> {
  await until('the brick dies', DEAD_SECONDS_MAX, () => {
    const status = `/proc/${pid}/status`
    return !existsSync(status) || readFileSync(status, 'utf8').includes('State:\tZ')
  })
}

/** Starts the bricks that are down. */
export async function startBricks(target: VolumeTarget): Promise<void> {
  target.gluster('volume', 'start', target.volume, 'force')
  await until('all bricks run', SERVED_SECONDS_MAX, () => brickPids(target).every(pid => pid > 1))
}

/** See `healedUnasked`. */
export const UNASKED_SECONDS_MAX = 60
/** Between two questions for what is to be healed: they cost the machine something, too. */
export const ASK_MS = 500

/** True when `heal info summary` has every brick and nothing to heal. */
export function isHealed(target: VolumeTarget): boolean {
  const info = target.gluster('volume', 'heal', target.volume, 'info', 'summary')
  const totals = [...info.matchAll(/^Total Number of entries: (.*)$/gm)].map(match => match[1])
  return totals.length > 0 && totals.every(total => total?.trim() === '0')
}

/** Waits for `isHealed`; gives the seconds that it took. */
export async function healed(target: VolumeTarget): Promise<number> {
  const start = performance.now()
  await until(`${target.name}: healed`, HEAL_SECONDS_MAX, () => isHealed(target), ASK_MS)
  return (performance.now() - start) / 1000
}

/**
 * As `healed`, after a brick that nobody has started again: undefined when nothing comes of itself
 * within a minute, so that the daemon is told to look (it does so by itself every ten minutes).
 */
export async function healedUnasked(target: VolumeTarget): Promise<number | undefined> {
  const start = performance.now()
  try {
    await until('healed', UNASKED_SECONDS_MAX, () => isHealed(target), ASK_MS)
    return (performance.now() - start) / 1000
  } catch {
    target.gluster('volume', 'heal', target.volume)
    await healed(target)
    return undefined
  }
}

/** Sets an option; GlusterFS's clients hear of it within a moment. */
export function setOption(target: VolumeTarget, name: string, value: string): void {
  target.gluster('volume', 'set', target.volume, name, value)
}

/** Empties the caches of the kernel. */
export function dropCaches(): void {
  run('sync', [])
  run('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches'])
}
