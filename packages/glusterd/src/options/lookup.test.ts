import { describe, expect, it } from 'vitest'
import { completeKey, suggestion } from './lookup.ts'

describe('keys of options', () => {
  it('are completed when only one fits', () => {
    expect(completeKey('cache-size')).toBe('performance.cache-size')
    expect(completeKey('write-behind')).toBe('performance.write-behind')
    expect(completeKey('ssl')).toBeUndefined()
    expect(completeKey('nothing-like-it')).toBeUndefined()
  })

  // As GlusterFS 10.3 answers.
  it.each([
    ['no.such.option', 'Did you mean nfs.drc-size or ...mem-factor?'],
    ['cluster.replica-count', 'Did you mean cluster.quorum-count?'],
    ['nonsense', 'Did you mean leases or noatime?'],
    ['cache-siz', 'Did you mean cache-size?'],
    ['performance.nonsense', 'Did you mean performance.io-cache or ...nfs?'],
    ['performance.', 'Did you mean performance.aggregate-size or ...cache-capability-xattrs?'],
    ['.x', 'Did you mean auth.allow?'],
    ['performance.cache-sizes', 'Did you mean performance.cache-size?'],
  ])('nearest to %s', (word, answer) => {
    expect(suggestion(word)).toBe(answer)
  })
})
