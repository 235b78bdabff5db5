import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseVolfile, printVolfile, sameTopology, VolfileError } from './volfile.ts'

// Recordings of GlusterFS 10.3 (fixtures/volfiles/README.md).
const folder = new URL('../fixtures/volfiles/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')
const recorded = readdirSync(folder).filter(name => name.endsWith('.vol') && name !== 'refused.vol')

const mistake = (text: string): { line: number; message: string } => {
  try {
    parseVolfile(text)
  } catch (error) {
    if (error instanceof VolfileError) return { line: error.line, message: error.message }
    throw error
  }
  throw new Error('the volfile was understood')
}

describe('volfiles', () => {
  it.each(recorded)('of GlusterFS are printed as they were read: %s', name => {
    expect(printVolfile(parseVolfile(read(name)))).toBe(read(name))
  })

  it('are read into nodes with their options and subvolumes', () => {
    const { nodes } = parseVolfile(read('disperse-mount.vol'))
    const disperse = nodes.find(node => node.type === 'cluster/disperse')
    expect(disperse?.subvolumes).toHaveLength(6)
    expect(disperse?.options.get('redundancy')).toBe('2')
    expect(nodes.at(-1)?.type).toBe('debug/io-stats')
  })

  it('are refused where GlusterFS refuses them', () => {
    expect(mistake(read('refused.vol'))).toEqual({
      line: 109,
      message: "volfile line 109: volume 'replica2features-trace' is defined twice",
    })
  })

  it('keep blanks in names and values of options, as of bricks with blanks in their path', () => {
    const options = new Map([
      ['auth.login./my data/b 1.allow', 'user'],
      ['directory', '/my data/b  1'],
      ['words', 'one two'],
      ['hash', 'a #b'],
    ])
    const brick = { name: '/my data/b 1', type: 'x/y', options, subvolumes: [] }
    const above = { ...brick, name: 'server', subvolumes: ['/my data/b 1'] }
    const volfile = { nodes: [brick, above] }
    const text = printVolfile(volfile)
    expect(parseVolfile(text)).toEqual(volfile)
    expect(text).toContain('option words one two\n')
  })

  it('take comments, quotation marks and keywords in any case', () => {
    const { nodes } = parseVolfile(
      '# a comment\nVOLUME a\n Type x/y # another\n OPTION k "v w"\n option "k 2" \'z\nEnd-Volume',
    )
    expect([...(nodes[0]?.options ?? [])]).toEqual([
      ['k', 'v w'],
      ['k 2', "'z"],
    ])
  })

  it.each([
    ['an empty file', '', 1, 'no volume is defined'],
    ['a missing end', 'volume a\n type x/y\n', 2, 'no end-volume'],
    ['a missing type', 'volume a\nend-volume', 2, 'has no type'],
    ['two types', 'volume a\n type x/y\n type z\nend-volume', 3, 'two types'],
    ['an unknown subvolume', 'volume a\n type x/y\n subvolumes b\nend-volume', 3, 'not defined'],
    ['itself as subvolume', 'volume a\n type x/y\n subvolumes a\nend-volume', 3, 'not defined'],
    ['no subvolume', 'volume a\n type x/y\n subvolumes\nend-volume', 4, 'lists none'],
    ['words outside', 'type x/y', 1, 'outside of a volume'],
    ['words inside', 'volume a\n typ x/y\nend-volume', 2, 'not understood'],
    ['a volume within one', 'volume a\n type x/y\nvolume b', 3, 'no end-volume'],
    ['an option without value', 'volume a\n option k\n type x/y\nend-volume', 2, 'no value'],
    ['an open quotation mark', 'volume a\n option k "v', 2, 'not closed'],
  ])('with %s are refused, with the line', (_what, text, line, message) => {
    const found = mistake(text)
    expect(found.line).toBe(line)
    expect(found.message).toContain(message)
  })

  it('are never understood in part, whatever they hold', () => {
    const word = fc.constantFrom(
      'volume',
      'type',
      'option',
      'subvolumes',
      'end-volume',
      'a',
      '"',
      '#',
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, fc.constantFrom(' ', '\n')), { maxLength: 30 }),
        parts => {
          try {
            const parsed = parseVolfile(parts.flat().join(''))
            expect(parseVolfile(printVolfile(parsed))).toEqual(parsed)
          } catch (error) {
            expect(error).toBeInstanceOf(VolfileError)
          }
        },
      ),
    )
  })
})

describe('topologies', () => {
  const text = read('brick.vol')
  it('are the same when options alone differ', () => {
    const other = text.replace(/option xattrop-dirty-watchlist .*/, 'option something else')
    expect(other).not.toBe(text)
    expect(sameTopology(parseVolfile(text), parseVolfile(other))).toBe(true)
  })

  it.each([
    ['a type', (t: string) => t.replace('type features/index', 'type features/other')],
    ['a name', (t: string) => t.replaceAll('replica2-index', 'replica2-other')],
    ['the order', (t: string) => t.replace(/volume replica2-quota[\s\S]*$/, '')],
  ])('differ by %s', (_what, change) => {
    expect(change(text)).not.toBe(text)
    expect(sameTopology(parseVolfile(text), parseVolfile(change(text)))).toBe(false)
  })
})
