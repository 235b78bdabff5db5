/**
 * Option schemas: what a translator can be told, declared as data in its own folder.
 *
 * Values arrive as texts (volfile, `volume set`) in GlusterFS's grammar
 * (libglusterfs/src/options.c) and become typed here; a bad text gives GlusterFS's message.
 */

export type OptionKind =
  | 'bool'
  | 'int'
  | 'size'
  | 'percent'
  | 'percent-or-size'
  | 'time'
  | 'double'
  | 'string'
  | 'path'
  | 'list'

/** A size given in bytes, or as a share of the whole. */
export type PercentOrSize = { readonly percent: number } | { readonly bytes: number }

interface KindValues {
  bool: boolean
  int: number
  size: number
  percent: number
  'percent-or-size': PercentOrSize
  time: number
  double: number
  string: string
  path: string
  list: readonly string[]
}

export interface OptionSpec<K extends OptionKind = OptionKind> {
  readonly kind: K
  /** As it would be typed; undefined: no value unless it is set. */
  readonly default?: string | undefined
  /** Bounds of numbers: bytes for sizes, seconds for times. */
  readonly min?: number
  readonly max?: number
  /** The only texts allowed. */
  readonly values?: readonly string[]
  /** Op-version that introduced it. */
  readonly since?: number
  readonly doc: string
}

export type OptionSchema = Readonly<Record<string, OptionSpec>>

type ValueOf<S extends OptionSpec> = S extends { readonly default: string }
  ? KindValues[S['kind']]
  : KindValues[S['kind']] | undefined

export type OptionValues<S extends OptionSchema> = { -readonly [K in keyof S]: ValueOf<S[K]> }

/** Declares a schema and keeps its literal types. */
export function defineOptions<const S extends OptionSchema>(schema: S): S {
  return schema
}

export class OptionError extends Error {
  override name = 'OptionError'
}

const TRUE = new Set(['1', 'on', 'yes', 'true', 'enable'])
const FALSE = new Set(['0', 'off', 'no', 'false', 'disable'])

/** Undefined when the text is not one of GlusterFS's booleans. */
export function parseBoolean(text: string): boolean | undefined {
  const word = text.toLowerCase()
  if (TRUE.has(word)) return true
  if (FALSE.has(word)) return false
  return undefined
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1024,
  k: 1024,
  mb: 1024 ** 2,
  m: 1024 ** 2,
  gb: 1024 ** 3,
  g: 1024 ** 3,
  tb: 1024 ** 4,
  t: 1024 ** 4,
  pb: 1024 ** 5,
  p: 1024 ** 5,
}

/** What 64 bits hold. */
const SIZE_BYTES_MAX = 2 ** 64

/** `256MB` → bytes (units of 1024); undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  if (match === null) return undefined
  const unit = SIZE_UNITS[(match[2] as string).toLowerCase()]
  return unit === undefined ? undefined : Math.floor(Number(match[1]) * unit)
}

const TIME_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  sec: 1,
  m: 60,
  min: 60,
  h: 3600,
  hr: 3600,
  d: 86_400,
  day: 86_400,
  days: 86_400,
  w: 604_800,
  week: 604_800,
  wk: 604_800,
}

/** `10min` → seconds; undefined when it is no time. */
export function parseTime(text: string): number | undefined {
  const match = /^(\d+)\s*([a-z]*)$/i.exec(text.trim())
  if (match === null) return undefined
  const unit = TIME_UNITS[(match[2] as string).toLowerCase()]
  return unit === undefined ? undefined : Number(match[1]) * unit
}

function parseInteger(text: string): number | undefined {
  if (/^[+-]?0[0-7]+$/.test(text)) return Number.parseInt(text, 8)
  if (/^[+-]?(0|[1-9]\d*|0x[0-9a-f]+)$/i.test(text)) return Number(text)
  return undefined
}

function checkRange(key: string, text: string, value: number, spec: OptionSpec): void {
  const { min, max } = spec
  if (min !== undefined && max !== undefined && (value < min || value > max)) {
    throw new OptionError(`'${value}' in 'option ${key} ${text}' is out of range [${min} - ${max}]`)
  }
  if (min !== undefined && value < min) {
    throw new OptionError(
      `'${value}' in 'option ${key} ${text}' is smaller than minimum value '${min}'`,
    )
  }
  if (max !== undefined && value > max) {
    throw new OptionError(
      `'${value}' in 'option ${key} ${text}' is greater than maximum value '${max}'`,
    )
  }
}

function number(key: string, text: string, value: number | undefined, spec: OptionSpec): number {
  if (value === undefined)
    throw new OptionError(`invalid number format "${text}" in option "${key}"`)
  checkRange(key, text, value, spec)
  return value
}

/** Throws OptionError with GlusterFS's message when `text` is not a value of the option. */
export function parseOption(key: string, text: string, spec: OptionSpec): KindValues[OptionKind] {
  if (spec.values !== undefined && !spec.values.includes(text)) {
    throw new OptionError(
      `option ${key} ${text}: '${text}' is not valid (possible options are ${spec.values.join(', ')}.)`,
    )
  }
  switch (spec.kind) {
    case 'bool': {
      const value = parseBoolean(text)
      if (value === undefined)
        throw new OptionError(`option ${key} ${text}: '${text}' is not a valid boolean value`)
      return value
    }
    case 'int':
      return number(key, text, parseInteger(text), spec)
    case 'size':
      return number(key, text, parseSize(text), spec)
    case 'double': {
      const value = Number(text)
      return number(key, text, text.trim() === '' || Number.isNaN(value) ? undefined : value, spec)
    }
    case 'percent':
      return percent(key, text)
    case 'percent-or-size':
      return percentOrSize(key, text, spec)
    case 'time': {
      const value = parseTime(text)
      if (value === undefined)
        throw new OptionError(`invalid time format "${text}" in "option ${key}"`)
      checkRange(key, text, value, spec)
      return value
    }
    case 'path':
      if (!text.startsWith('/'))
        throw new OptionError(`option ${key} ${text}: '${text}' is not an absolute path name`)
      return text
    case 'list':
      return text.split(',').filter(item => item !== '')
    case 'string':
      return text
  }
}

function percent(key: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)%?$/.exec(text)
  if (match === null) throw new OptionError(`invalid percent format "${text}" in "option ${key}"`)
  const value = Number(match[1])
  if (value > 100) {
    const shown = value.toFixed(6)
    throw new OptionError(`'${shown}' in 'option ${key} ${text}' is out of range [0 - 100]`)
  }
  return value
}

function percentOrSize(key: string, text: string, spec: OptionSpec): PercentOrSize {
  if (text.endsWith('%')) return { percent: percent(key, text) }
  const bytes = parseSize(text)
  if (bytes === undefined || bytes > SIZE_BYTES_MAX)
    throw new OptionError(`invalid number format "${text}" in "option ${key}"`)
  return { bytes: number(key, text, bytes, spec) }
}

/**
 * Typed values of a schema from texts. Keys that the schema does not have are left alone: volfiles
 * carry options for other releases. Throws OptionError at the first bad value.
 */
export function parseOptions<S extends OptionSchema>(
  schema: S,
  texts: ReadonlyMap<string, string>,
): OptionValues<S> {
  const values: Record<string, unknown> = {}
  for (const [key, spec] of Object.entries(schema)) {
    const text = texts.get(key) ?? spec.default
    values[key] = text === undefined ? undefined : parseOption(key, text, spec)
  }
  return values as OptionValues<S>
}
