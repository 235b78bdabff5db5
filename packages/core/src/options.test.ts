import { describe, expect, it } from 'vitest'
import {
  defineOptions,
  OptionError,
  type OptionSpec,
  parseOption,
  parseOptions,
} from './options.ts'

const spec = (kind: OptionSpec['kind'], more: Partial<OptionSpec> = {}): OptionSpec => ({
  kind,
  doc: '',
  ...more,
})

describe('values', () => {
  it.each<[OptionSpec['kind'], string, unknown]>([
    ['bool', 'on', true],
    ['bool', 'Enable', true],
    ['bool', '0', false],
    ['bool', 'NO', false],
    ['int', '10', 10],
    ['int', '0x10', 16],
    ['int', '010', 8],
    ['int', '-1', -1],
    ['size', '4096', 4096],
    ['size', '256MB', 268_435_456],
    ['size', '1.5KB', 1536],
    ['size', '1 gb', 1_073_741_824],
    ['time', '42', 42],
    ['time', '10min', 600],
    ['time', '2h', 7200],
    ['time', '3days', 259_200],
    ['time', '1w', 604_800],
    ['percent', '12%', 12],
    ['percent', '12.5', 12.5],
    ['percent-or-size', '10%', { percent: 10 }],
    ['percent-or-size', '1GB', { bytes: 1_073_741_824 }],
    ['double', '0.5', 0.5],
    ['path', '/a/b', '/a/b'],
    ['list', 'a,b,,c', ['a', 'b', 'c']],
    ['list', '', []],
    ['string', 'as it is', 'as it is'],
  ])('of kind %s: %j', (kind, text, value) => {
    expect(parseOption('key', text, spec(kind))).toEqual(value)
  })
})

describe("refusals say it in GlusterFS's words", () => {
  const refusal = (key: string, text: string, option: OptionSpec): string => {
    try {
      parseOption(key, text, option)
    } catch (error) {
      if (error instanceof OptionError) return error.message
      throw error
    }
    throw new Error('the value was taken')
  }

  // The first three are recorded from `gluster volume set`.
  it.each<[string, string, OptionSpec, string]>([
    ['cache-size', 'abc', spec('size'), 'invalid number format "abc" in option "cache-size"'],
    [
      'quorum-type',
      'bogus',
      spec('string', { values: ['none', 'auto', 'fixed'] }),
      "option quorum-type bogus: 'bogus' is not valid (possible options are none, auto, fixed.)",
    ],
    ['ping-timeout', '-5', spec('time'), 'invalid time format "-5" in "option ping-timeout"'],
    ['k', 'maybe', spec('bool'), "option k maybe: 'maybe' is not a valid boolean value"],
    ['k', '', spec('int'), 'invalid number format "" in option "k"'],
    ['k', '1.5', spec('int'), 'invalid number format "1.5" in option "k"'],
    ['k', '09', spec('int'), 'invalid number format "09" in option "k"'],
    ['k', '5', spec('int', { min: 1, max: 4 }), "'5' in 'option k 5' is out of range [1 - 4]"],
    ['k', '0', spec('int', { min: 1 }), "'0' in 'option k 0' is smaller than minimum value '1'"],
    ['k', '9', spec('int', { max: 8 }), "'9' in 'option k 9' is greater than maximum value '8'"],
    [
      'k',
      '1KB',
      spec('size', { min: 4096, max: 8192 }),
      "'1024' in 'option k 1KB' is out of range [4096 - 8192]",
    ],
    [
      'k',
      '2min',
      spec('time', { min: 0, max: 60 }),
      "'120' in 'option k 2min' is out of range [0 - 60]",
    ],
    ['k', '101%', spec('percent'), "'101.000000' in 'option k 101%' is out of range [0 - 100]"],
    ['k', 'x%', spec('percent'), 'invalid percent format "x%" in "option k"'],
    ['k', '', spec('double'), 'invalid number format "" in option "k"'],
    ['k', 'a/b', spec('path'), "option k a/b: 'a/b' is not an absolute path name"],
  ])('%s %s', (key, text, option, message) => {
    expect(refusal(key, text, option)).toBe(message)
  })
})

describe('a schema', () => {
  const schema = defineOptions({
    on: { kind: 'bool', default: 'on', doc: '' },
    size: { kind: 'size', doc: '' },
  })

  it('gives defaults, leaves out what has none, and passes over what it does not know', () => {
    expect(parseOptions(schema, new Map([['unknown', 'x']]))).toEqual({ on: true, size: undefined })
    expect(parseOptions(schema, new Map([['size', '1KB']]))).toEqual({ on: true, size: 1024 })
  })

  it('refuses the first bad value', () => {
    expect(() => parseOptions(schema, new Map([['on', '2']]))).toThrow(OptionError)
  })
})
