/**
 * Translators that volfiles name and we do not have, and whether a graph may do without them. One
 * that only makes things faster, or does nothing unless it is switched on, is passed over; one that
 * gives data its meaning is not, for what it keeps would be read wrongly without it.
 */

import {
  type AnyXlatorDefinition,
  defineXlator,
  parseBoolean,
  type VolfileNode,
} from '@ashlar/core'

type Options = VolfileNode['options']

function isOn(options: Options, key: string): boolean {
  return parseBoolean(options.get(key) ?? 'off') === true
}

const always = (): boolean => true

/** By type: true when the graph works without it, given its options. */
const PASSIVE: ReadonlyMap<string, (options: Options) => boolean> = new Map<
  string,
  (options: Options) => boolean
>([
  ['debug/trace', always],
  ['debug/error-gen', always],
  ['debug/delay-gen', always],
  ['features/barrier', always],
  ['features/bitrot-stub', options => !isOn(options, 'bitrot')],
  ['features/changelog', options => !isOn(options, 'changelog')],
  ['features/leases', options => !isOn(options, 'leases')],
  ['features/marker', options => !isOn(options, 'quota') && !isOn(options, 'xtime')],
  ['features/namespace', always],
  ['features/quiesce', always],
  ['features/quota', options => !isOn(options, 'server-quota')],
  ['features/sdfs', always],
  ['features/selinux', always],
  [
    'features/simple-quota',
    options => options.get('pass-through') === undefined || isOn(options, 'pass-through'),
  ],
  ['features/snapview-client', always],
  ['features/thin-arbiter', always],
  ['features/trash', options => !isOn(options, 'trash')],
  ['features/worm', options => !isOn(options, 'worm') && !isOn(options, 'worm-file-level')],
  ['features/gfid-access', always],
  ['meta', always],
])

const PERFORMANCE = 'performance/'

/** A translator that is not there: it says nothing about any fop, so no call ever meets it. */
export function passedOver(type: string): AnyXlatorDefinition {
  return defineXlator({ type, options: {}, create: () => ({}) })
}

/** True when a graph may do without this node's translator. */
export function isPassive(node: VolfileNode): boolean {
  if (node.type.startsWith(PERFORMANCE)) return true
  return PASSIVE.get(node.type)?.(node.options) ?? false
}
