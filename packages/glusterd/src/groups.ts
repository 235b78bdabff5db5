/**
 * Option profiles: files of `key=value` lines under `groups/`, which operators may add to.
 */

import { readFileSync } from 'node:fs'
import { ManagementError, type OptionSetting } from '@ashlar/contract'
import { errnoText } from './volume/errno-text.ts'

/** Throws ManagementError with GlusterFS's message when there is no such profile. */
export function readGroup(workDirectory: string, name: string): OptionSetting[] {
  const file = `${workDirectory}/groups/${name}`
  if (name.includes('/') || name.startsWith('.')) throw missing(file, 'No such file or directory')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw missing(file, errnoText(error))
  }
  const settings: OptionSetting[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const at = line.indexOf('=')
    if (at <= 0) throw new ManagementError('GROUP_INVALID', `'${file}' file format not valid.`)
    settings.push({ key: line.slice(0, at).trim(), value: line.slice(at + 1).trim() })
  }
  return settings
}

function missing(file: string, why: string): ManagementError {
  return new ManagementError('GROUP_NOT_FOUND', `Unable to open file '${file}'. Error: ${why}`)
}
