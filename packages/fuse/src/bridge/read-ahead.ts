/**
 * Read ahead: the kernel gives every FUSE mount 128 KiB of it, and lets root say more. It lists the
 * mount's device under /sys/class/bdi by the numbers that /proc/self/mountinfo shows.
 */

import { readFileSync, writeFileSync } from 'node:fs'

/** Best effort: without permission, or in a container without /sys, the mount reads as it did. */
export function raiseReadAhead(mountpoint: string, kibibytes: number): void {
  try {
    const device = mountDeviceNumber(readFileSync('/proc/self/mountinfo', 'utf8'), mountpoint)
    if (device !== undefined)
      writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(kibibytes))
  } catch {
    // Nothing depends on it.
  }
}

/** `major:minor` of what is mounted there last, from the text of mountinfo. */
export function mountDeviceNumber(mountinfo: string, mountpoint: string): string | undefined {
  let found: string | undefined
  const escaped = mountpoint.replaceAll(
    /[\\ \t\n]/g,
    match => `\\${match.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ')
    if (fields[4] === escaped) found = fields[2]
  }
  return found
}
