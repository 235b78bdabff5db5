/** Pid files: written when a process works, removed when it ends. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

export function writePidFile(path: string | undefined): void {
  if (path === undefined) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${process.pid}\n`, { mode: 0o644 })
}

/** Removes the file if it is still this process's. */
export function removePidFile(path: string | undefined): void {
  if (path === undefined) return
  try {
    if (Number.parseInt(readFileSync(path, 'utf8'), 10) === process.pid)
      rmSync(path, { force: true })
  } catch {
    // It is gone already.
  }
}
