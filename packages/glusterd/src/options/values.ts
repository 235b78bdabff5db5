/**
 * Whether a text is a value of an option, with GlusterFS's message when it is not
 * (libglusterfs/src/options.c).
 */

import { OptionError, type OptionKind, type OptionSpec, parseOption } from '@ashlar/core'
import type { OptionRow, ValueKind } from './row.ts'

/** Kinds that core's schemas know; the others have checks of their own below. */
const CORE_KINDS: Partial<Record<ValueKind, OptionKind>> = {
  string: 'string',
  int: 'int',
  size: 'size',
  percent: 'percent',
  'percent-or-size': 'percent-or-size',
  bool: 'bool',
  time: 'time',
  double: 'double',
}

/** Undefined when `value` fits. The message names the translator's option, not the key. */
export function valueProblem(
  row: OptionRow,
  value: string,
  name = row.option.replace(/^(brick|client)-(?=log-)/, ''),
): string | undefined {
  const kind = row.kind === undefined ? undefined : CORE_KINDS[row.kind]
  if (kind !== undefined) return coreProblem(name, value, specOf(row, kind))
  const own = row.kind === undefined ? undefined : OWN_CHECKS[row.kind]
  return own?.(name, value)
}

function specOf(row: OptionRow, kind: OptionKind): OptionSpec {
  return {
    kind,
    doc: '',
    ...(row.min === undefined ? {} : { min: row.min }),
    ...(row.max === undefined ? {} : { max: row.max }),
    ...(row.values === undefined ? {} : { values: row.values }),
  }
}

function coreProblem(name: string, value: string, spec: OptionSpec): string | undefined {
  try {
    parseOption(name, value, spec)
    return undefined
  } catch (error) {
    if (error instanceof OptionError) return error.message
    throw error
  }
}

const OWN_CHECKS: Partial<Record<ValueKind, (name: string, value: string) => string | undefined>> =
  {
    path(name, value) {
      if (value.includes('../')) return `invalid path given '${value}'`
      if (value.startsWith('/')) return undefined
      return `option ${name} ${value}: '${value}' is not an absolute path name`
    },
    address(name, value) {
      if (isAddress(value)) return undefined
      return `option ${name} ${value}: Can not parse ${value} address`
    },
    'address-list'(name, value) {
      const items = value.split(',').filter(item => item !== '')
      if (items.length > 0 && items.every(isListItem)) return undefined
      return `option ${name} ${value}: '${value}' is not a valid internet-address-list`
    },
    'priority-list'(name, value) {
      if (value.split(',').every(item => /^[^:]+:\d+$/.test(item))) return undefined
      return `option ${name} ${value}: '${value}' is not a valid priority-list`
    },
    'size-list'(name, value) {
      const fits = value.split(',').every(item => /^\d+$/.test(item) && Number(item) % 512 === 0)
      return fits ? undefined : `option ${name} ${value}: '${value}' is not a valid size-list`
    },
  }

/** Of a list: an address, a directory, or a directory with the addresses that may mount it. */
function isListItem(item: string): boolean {
  if (!item.startsWith('/')) return isAddress(item)
  const [, addresses] = /^[^()]+\((.*)\)$/.exec(item) ?? []
  return addresses === undefined ? !/[()]/.test(item) : addresses.split('|').every(isAddress)
}

/** Host names, addresses with wildcards, subnets, `*`. */
function isAddress(text: string): boolean {
  const [address = '', width, ...more] = text.split('/')
  if (more.length > 0 || (width !== undefined && !isPrefixWidth(width))) return false
  return /^(?!-)[\w.:*?[\]-]+(?<!-)$/.test(address)
}

/** Bits of an IPv4 subnet's prefix. */
function isPrefixWidth(text: string): boolean {
  return /^\d{1,2}$/.test(text) && Number(text) <= 32
}
