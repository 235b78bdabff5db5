/** Mounting and unmounting, 0 or −errno; and what is mounted. */

import { readFileSync } from 'node:fs'
import { native, outcome, outcomeLater, text } from './ffi.ts'

const mountCall = native('int mount(str, str, str, unsigned long, str)')
const umountCall = native('int umount2(str, int)')

export interface MountRequest {
  readonly source: string
  readonly target: string
  readonly type: string
  /** MS_*. */
  readonly flags: number
  readonly data: string
}

export function mount(request: MountRequest): number {
  const { source, target, type, flags, data } = request
  return outcome(mountCall(text(source), text(target), text(type), flags, text(data)))
}

/** `flags`: MNT_*. */
export function umount(target: string, flags = 0): number {
  return outcome(umountCall(text(target), flags))
}

/** For a mount that this process serves itself: the kernel may ask it things while it unmounts. */
export function umountAsync(target: string, flags = 0): Promise<number> {
  return outcomeLater(umountCall, text(target), flags)
}

export interface Mounted {
  readonly device: string
  readonly path: string
  readonly type: string
  /** Separated by commas. */
  readonly options: string
}

/** What this process sees mounted, the oldest first (proc(5), `/proc/pid/mounts`). */
export function mounts(): Mounted[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return lines
    .filter(line => line !== '')
    .map(line => {
      const [device = '', path = '', type = '', options = ''] = line.split(' ')
      return { device, path: unescaped(path), type, options }
    })
}

/** Blanks are written as `\040`. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
