/** Whole trees: making the directories of a path, listing below one, removing all of it. */

import { DirectoryRemovalError, hasCode } from './errors.ts'
import type { Dirent } from './stats.ts'
import type { Volume } from './volume.ts'

/** Entries removed side by side. */
const REMOVALS_MAX = 16

/** `path` under `directory`. */
export function joined(directory: string, name: string): string {
  return directory.endsWith('/') ? `${directory}${name}` : `${directory}/${name}`
}

/** The name of an entry as readdir shows it, relative to where the listing began. */
export function relativeName(root: string, entry: Dirent): string {
  const path = joined(entry.parentPath, entry.name)
  return path.slice(joined(root, '').length)
}

/** Entries of a directory and, with `recursive`, of those below it. */
export async function* entries(
  volume: Volume,
  path: string,
  recursive: boolean,
): AsyncGenerator<Dirent> {
  const pending = [path]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for await (const entry of await volume.scandir(directory)) {
      yield entry
      if (recursive && entry.isDirectory()) pending.push(joined(directory, entry.name))
    }
  }
}

/** Makes what is missing of a path; the first directory made, or undefined. */
export async function makeDirectories(
  volume: Volume,
  path: string,
  make: (path: string) => Promise<void>,
): Promise<string | undefined> {
  try {
    await make(path)
    return path
  } catch (error) {
    if (hasCode(error, 'EEXIST')) {
      const stats = await volume.stat(path)
      if (stats.isDirectory()) return undefined
      throw error
    }
    const parent = path.replace(/\/+[^/]+\/*$/, '')
    if (!hasCode(error, 'ENOENT') || parent === path || parent === '') throw error
    const first = await makeDirectories(volume, parent, make)
    const made = await makeDirectories(volume, path, make)
    return first ?? made
  }
}

/** Removes what is at `path`. */
export async function remove(
  volume: Volume,
  path: string,
  options: { readonly recursive?: boolean; readonly force?: boolean },
): Promise<void> {
  try {
    const stats = await volume.lstat(path)
    if (!stats.isDirectory()) await volume.unlink(path)
    else if (options.recursive === true) await removeDirectory(volume, path)
    else throw new DirectoryRemovalError(path)
  } catch (error) {
    if (options.force !== true || !hasCode(error, 'ENOENT')) throw error
  }
}

async function removeDirectory(volume: Volume, path: string): Promise<void> {
  // Somebody may add entries meanwhile; each round removes what it finds.
  for (;;) {
    const found: Dirent[] = []
    for await (const entry of await volume.opendir(path)) found.push(entry)
    for (let i = 0; i < found.length; i += REMOVALS_MAX) {
      const some = found.slice(i, i + REMOVALS_MAX)
      await Promise.all(some.map(entry => removeEntry(volume, joined(path, entry.name), entry)))
    }
    try {
      await volume.rmdir(path)
      return
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY') || found.length === 0) throw error
    }
  }
}

async function removeEntry(volume: Volume, path: string, entry: Dirent): Promise<void> {
  try {
    if (entry.isDirectory()) await removeDirectory(volume, path)
    else await volume.unlink(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}
