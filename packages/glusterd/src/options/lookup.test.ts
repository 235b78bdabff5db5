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
    ['performance.cache-sizes', 'Did you mean performance.cache-size?'],
  ])('nearest to %s', (word, answer) => {
    expect(suggestion(word)).toBe(answer)
  })
})
