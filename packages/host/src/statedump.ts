/** Statedumps: what a process holds, written to a file on SIGUSR1, as GlusterFS names them. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Env, Graph } from '@ashlar/core'

/** Writes `<name>.<pid>.dump.<seconds>` into `directory` and returns its path. */
export function writeStatedump(
  env: Env,
  graph: Graph | undefined,
  options: { directory: string; name: string },
): string {
  return writeStatedumpText(env, dumpText(graph), options)
}

/** As `writeStatedump`, for a process of several graphs. */
export function writeStatedumpText(
  env: Env,
  text: string,
  options: { directory: string; name: string },
): string {
  mkdirSync(options.directory, { recursive: true })
  const { sec } = env.clock.wall()
  const path = join(
    options.directory,
    `${options.name.replaceAll('/', '-').replace(/^-/, '')}.${process.pid}.dump.${sec}`,
  )
  writeFileSync(path, text)
  return path
}

export function dumpText(graph: Graph | undefined): string {
  const lines: string[] = ['DUMP-START']
  const section = (title: string, values: Readonly<Record<string, unknown>>): void => {
    lines.push('', `[${title}]`)
    for (const [key, value] of Object.entries(values)) {
      lines.push(`${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    }
  }
  section('memory', { ...process.memoryUsage() })
  if (graph !== undefined) {
    section(`inode table ${graph.inodes.name}`, { ...graph.inodes.status() })
    for (const { name, type, xlator } of graph.xlators())
      section(`${type}.${name}`, xlator.dump?.() ?? {})
  }
  lines.push('', 'DUMP-END', '')
  return lines.join('\n')
}
