import { describe, expect, it } from 'vitest'
import { Claims, namesConflict, rangesConflict } from './claims.ts'

/** Collects the order in which claims are had. */
function waiting<T>(claims: Claims<T>): {
  had: T[]
  ask: (what: T) => Promise<Awaited<ReturnType<Claims<T>['claim']>>>
} {
  const had: T[] = []
  return {
    had,
    ask: async what => {
      const claim = await claims.claim(what)
      had.push(what)
      return claim
    },
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('claims', () => {
  it('of different names go side by side, of one name in turn', async () => {
    const claims = new Claims(namesConflict)
    const { had, ask } = waiting(claims)
    const first = await ask('a')
    const second = ask('a')
    await ask('b')
    await turn()
    expect(had).toEqual(['a', 'b'])
    claims.release(first)
    await second
    expect(had).toEqual(['a', 'b', 'a'])
  })

  it('of a whole directory wait for all names, and all later names for it', async () => {
    const claims = new Claims(namesConflict)
    const { had, ask } = waiting(claims)
    const a = await ask('a')
    const whole = ask(undefined)
    const b = ask('b')
    await turn()
    expect(had).toEqual(['a'])
    claims.release(a)
    claims.release(await whole)
    claims.release(await b)
    expect(had).toEqual(['a', undefined, 'b'])
    expect(claims.empty).toBe(true)
  })

  it('of ranges wait only where they overlap', async () => {
    const claims = new Claims(rangesConflict)
    const { had, ask } = waiting(claims)
    const first = await ask({ start: 0, end: 10 })
    await ask({ start: 10, end: 20 })
    const over = ask({ start: 5, end: 15 })
    await turn()
    expect(had).toHaveLength(2)
    claims.release(first)
    await turn()
    expect(had).toHaveLength(2)
    expect(claims.tryClaim({ start: 100, end: 200 })).toBeDefined()
    expect(claims.tryClaim({ start: 14, end: 16 })).toBeUndefined()
    over.catch(() => {})
  })
})
