/**
 * `volume set` and `volume reset`: which changes are allowed and what the options are afterwards.
 * Nothing is stored here; the order of the checks is GlusterFS's (glusterd-op-sm.c).
 */

import { ManagementError, type OptionSetting } from '@ashlar/contract'
import { parseBoolean } from '@ashlar/core'
import { volumeVolfiles } from '../volgen/files.ts'
import type { Volume } from '../volume/volume.ts'
import { completeKey, isUserKey, rowsOf, suggestion } from './lookup.ts'
import type { OptionRow } from './row.ts'
import { RULES } from './rules.ts'
import { valueProblem } from './values.ts'

/** The op-version this release serves: GlusterFS 10's. */
export const MAX_OP_VERSION = 100_000

/** The xlator of options that glusterd itself follows: it is always there. */
const OWN = 'mgmt/glusterd'

/** Keys whose feature has commands of its own; `set` is refused with GlusterFS's advice. */
const REDIRECTED: Readonly<Record<string, (value: string) => string>> = {
  'features.bitrot': () =>
    "'gluster volume set <VOLNAME> features.bitrot' is invalid command. " +
    "Use 'gluster volume bitrot <VOLNAME> {enable|disable}' instead.",
  'features.scrub-freq': () =>
    "'gluster volume set <VOLNAME> features.scrub-freq' is invalid command. Use 'gluster volume " +
    "bitrot <VOLNAME> scrub-frequency {hourly|daily|weekly|biweekly|monthly}' instead.",
  'features.scrub': () =>
    "'gluster volume set <VOLNAME> features.scrub' is invalid command. " +
    "Use 'gluster volume bitrot <VOLNAME> scrub {pause|resume}' instead.",
  'features.scrub-throttle': () =>
    "'gluster volume set <VOLNAME> features.scrub-throttle' is invalid command. Use 'gluster " +
    "volume bitrot <VOLNAME> scrub-throttle  {lazy|normal|aggressive}' instead.",
  'features.quota': value =>
    `'gluster volume set <VOLNAME> features.quota ${value}' is deprecated. Use 'gluster volume ` +
    `quota <VOLNAME> ${parseBoolean(value) === true ? 'enable' : 'disable'}' instead.`,
  'features.inode-quota': value =>
    `'gluster volume set <VOLNAME> features.inode-quota ${value}' is deprecated. ` +
    "Use 'gluster volume inode-quota <VOLNAME> enable' instead.",
}

function unknown(prefix: string, word: string): ManagementError {
  return new ManagementError(
    'OPTION_UNKNOWN',
    `${prefix} ${word} does not exist\n${suggestion(word)}`,
  )
}

/** The volume's options after `settings`, in order of age. Throws ManagementError at the first fault. */
export function changedOptions(
  volume: Volume,
  settings: readonly OptionSetting[],
): Map<string, string> {
  if (settings.length === 0) {
    throw new ManagementError('REQUEST_INVALID', 'Options not specified')
  }
  const options = new Map(volume.options)
  const rows: [OptionRow, string][] = []
  for (const setting of settings) {
    const { value } = setting
    if (isUserKey(setting.key)) {
      options.set(setting.key, value)
      continue
    }
    const key = completeKey(setting.key)
    if (key === undefined) throw unknown('option :', setting.key)
    const redirect = REDIRECTED[key]
    if (redirect !== undefined) throw new ManagementError('OPTION_REFUSED', redirect(value))
    refuseByState(volume, key, settings.length)
    const [row] = rowsOf(key)
    if (row?.global === true) {
      throw new ManagementError('OPTION_REFUSED', 'Not a valid option for single volume')
    }
    options.set(key, value)
    checkRules(rowsOf(key), { key, value, volume, options })
    for (const each of rowsOf(key)) {
      if (putsInOrOut(each) && parseBoolean(value) === undefined) {
        throw new ManagementError('OPTION_INVALID', 'Error, Validation Failed')
      }
      rows.push([each, value])
    }
  }
  checkValues(volume, options, rows)
  return options
}

/** The graph is built with or without a translator by it. */
function putsInOrOut({ toggle, handler }: OptionRow): boolean {
  return handler === 'perf' || (toggle === true && handler !== undefined)
}

function refuseByState(volume: Volume, key: string, count: number): void {
  if (key === 'cluster.op-version') {
    const message =
      count > 1
        ? `Option "${key}" cannot be set along with other options`
        : `Option "${key}" is not valid for a single volume`
    throw new ManagementError('OPTION_REFUSED', message)
  }
  if (/^storage\.linux-(aio|io_uring)$/.test(key) && volume.status === 'started') {
    throw new ManagementError(
      'OPTION_REFUSED',
      `Changing '${key}' is not supported when the volume is in started state. ` +
        'Please stop the volume first.',
    )
  }
  if (key === 'cluster.granular-entry-heal' && volume.status !== 'created') {
    throw new ManagementError(
      'OPTION_REFUSED',
      ` 'gluster volume set <VOLNAME> ${key} {enable, disable}' is not supported. ` +
        "Use 'gluster volume heal <VOLNAME> granular-entry-heal {enable, disable}' instead.",
    )
  }
}

function checkRules(
  rows: readonly OptionRow[],
  input: Parameters<(typeof RULES)[string]>[0],
): void {
  for (const row of rows) {
    const problem = row.rule === undefined ? undefined : RULES[row.rule]?.(input)
    if (problem !== undefined) throw new ManagementError('OPTION_INVALID', problem)
  }
}

/**
 * Values are judged by the translators that the volume's graphs would hold, so that a value for an
 * absent one passes unseen, as it does in GlusterFS.
 */
function checkValues(
  volume: Volume,
  options: Map<string, string>,
  rows: readonly (readonly [OptionRow, string])[],
): void {
  const present = translatorsOf({ ...volume, options })
  for (const [row, value] of rows) {
    if (!present.has(row.xlator) && row.xlator !== OWN) continue
    const problem = valueProblem(row, value, nameInVolfile(row, volume))
    if (problem !== undefined) throw new ManagementError('OPTION_INVALID', problem)
  }
}

/** As messages name it. */
function nameInVolfile(row: OptionRow, volume: Volume): string | undefined {
  const list = /^auth\.(allow|reject)$/.exec(row.key)?.[1]
  const brick = volume.bricks[0]
  return list === undefined || brick === undefined ? undefined : `auth.addr.${brick.path}.${list}`
}

function translatorsOf(volume: Volume): Set<string> {
  const types = new Set<string>()
  const place = { workDirectory: '', peer: '' }
  for (const text of volumeVolfiles(volume, place).values()) {
    for (const match of text.matchAll(/^ {4}type (\S+)$/gm)) types.add(match[1] as string)
  }
  return types
}

/** What `reset` leaves, and what is to be said about it. */
export interface ResetOutcome {
  readonly options: Map<string, string>
  readonly message: string
}

/** `volume reset V [KEY] [force]`. The options every volume is made with come back by themselves. */
export function resetOptions(
  volume: Volume,
  word: string | undefined,
  force: boolean,
): ResetOutcome {
  const options = new Map(volume.options)
  let message = 'reset volume successful'
  if (word !== undefined && word !== 'all') {
    const key = isUserKey(word) || options.has(word) ? word : completeKey(word)
    if (key === undefined) throw unknown('Option', word)
    if (options.has(key) && isProtected(key, force)) {
      throw new ManagementError('OPTION_REFUSED', `'${key}' is protected. To reset use 'force'.`)
    }
    options.delete(key)
  } else {
    for (const key of volume.options.keys()) {
      if (!isProtected(key, force)) options.delete(key)
      else if (!force) {
        message = "All unprotected fields were reset. To reset the protected fields, use 'force'."
      }
    }
  }
  for (const [key, value] of CREATION_DEFAULTS) if (!options.has(key)) options.set(key, value)
  return { options, message }
}

function isProtected(key: string, force: boolean): boolean {
  const [row] = rowsOf(key)
  if (row === undefined) return false
  return row.neverReset === true || (row.keptByReset === true && !force)
}

/** Options that every new volume is given, oldest first. */
export const CREATION_DEFAULTS: readonly (readonly [string, string])[] = [
  ['nfs.disable', 'on'],
  ['transport.address-family', 'inet'],
  ['storage.fips-mode-rchecksum', 'on'],
]

/** Options of a new volume, oldest first. */
export function creationOptions(kind: Volume['kind']): Map<string, string> {
  const replicated = kind === 'replicate'
  return new Map([
    ...(replicated ? ([['performance.client-io-threads', 'off']] as const) : []),
    ...CREATION_DEFAULTS,
    ...(replicated ? ([['cluster.granular-entry-heal', 'on']] as const) : []),
  ])
}

/** A check of one pool-wide setting; returns the key in full. */
export function checkPoolOption(
  setting: OptionSetting,
  pool: ReadonlyMap<string, string>,
  opVersion: number,
): string {
  const key = completeKey(setting.key)
  if (key === undefined) throw unknown('option :', setting.key)
  const [row] = rowsOf(key)
  if (row?.global !== true) {
    throw new ManagementError('OPTION_REFUSED', 'Not a valid option for all volumes')
  }
  if (key === 'cluster.op-version') {
    throw new ManagementError('OPTION_REFUSED', opVersionProblem(setting.value, opVersion))
  }
  if (key === 'cluster.max-op-version') {
    throw new ManagementError('OPTION_REFUSED', 'Not a valid option to set')
  }
  const options = new Map(pool).set(key, setting.value)
  checkRules(rowsOf(key), { key, value: setting.value, volume: undefined, options })
  const problem = poolValueProblem(key, setting.value) ?? valueProblem(row, setting.value)
  if (problem !== undefined) throw new ManagementError('OPTION_INVALID', problem)
  return key
}

function opVersionProblem(value: string, current: number): string {
  if (!/^\d+$/.test(value)) return `invalid number format "${value}" in option "cluster.op-version"`
  if (Number(value) <= current) {
    return (
      `Required op-version (${value}) should not be equal or lower than ` +
      `current cluster op-version (${current}).`
    )
  }
  return `Required op_version (${value}) is not supported. Max supported op version is ${current}`
}

function poolValueProblem(key: string, value: string): string | undefined {
  if (key === 'cluster.enable-shared-storage' || key === 'cluster.localtime-logging') {
    if (value === 'enable' || value === 'disable') return undefined
    return `Invalid option(${value}). Valid options are 'enable' and 'disable'`
  }
  if (key === 'cluster.daemon-log-level') {
    if (['INFO', 'WARNING', 'ERROR', 'DEBUG', 'TRACE'].includes(value)) return undefined
    return (
      `Invalid option(${value}). Valid options are ` +
      "'INFO' or 'WARNING' or 'ERROR' or 'DEBUG' or  'TRACE'"
    )
  }
  return undefined
}
