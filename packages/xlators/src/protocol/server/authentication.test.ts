import { describe, expect, test } from 'vitest'
import { addressMatches, type Applicant, listHas, refusal } from './authentication.ts'

const brick = '/b'
const applicant: Applicant = {
  address: { host: '192.168.1.7', port: 49_000 },
  username: undefined,
  password: undefined,
  subdirectory: '',
}

function admitted(options: Record<string, string>, who: Partial<Applicant> = {}): boolean {
  const texts = new Map(Object.entries(options))
  const settings = { texts, allowInsecure: true, strict: false }
  return refusal(brick, { ...applicant, ...who }, settings) === undefined
}

describe('addresses', () => {
  test.each([
    ['*', true],
    ['192.168.1.7', true],
    ['192.168.1.*', true],
    ['192.168.1.[0-9]', true],
    ['192.168.0.0/16', true],
    ['192.168.1.0/29', true],
    ['192.168.1.8/29', false],
    ['10.*', false],
    ['192.168.1.[', false],
    ['192x168.1.7', false],
    ['localhost', false],
  ])('%s', (pattern, expected) => {
    expect(addressMatches(pattern, '192.168.1.7')).toBe(expected)
  })

  test('lists with directories', () => {
    const list = '10.0.0.1,/dir(192.168.1.*|10.0.0.2),/open'
    expect(listHas(list, '10.0.0.1', '')).toBe(true)
    expect(listHas(list, '192.168.1.7', '')).toBe(false)
    expect(listHas(list, '192.168.1.7', '/dir')).toBe(true)
    expect(listHas(list, '192.168.1.7', 'dir/')).toBe(true)
    expect(listHas(list, '192.168.1.7', '/other')).toBe(false)
    expect(listHas(list, '192.168.1.7', '/open')).toBe(true)
  })
})

describe('modules', () => {
  const login = { 'auth.login./b.allow': 'u,v', 'auth.login.u.password': 'p' }

  test('nobody accepts: refused', () => {
    expect(admitted({})).toBe(false)
    expect(admitted({ 'auth.addr./b.allow': '10.0.0.1' })).toBe(false)
    expect(admitted({ 'auth.addr./other.allow': '*' })).toBe(false)
  })

  test('a listed address is admitted unless it is also rejected', () => {
    expect(admitted({ 'auth.addr./b.allow': '*' })).toBe(true)
    expect(admitted({ 'auth.addr./b.allow': '*', 'auth.addr./b.reject': '192.168.1.7' })).toBe(
      false,
    )
  })

  test('the right password is enough, a wrong one too much', () => {
    expect(admitted(login, { username: 'u', password: 'p' })).toBe(true)
    const all = { ...login, 'auth.addr./b.allow': '*' }
    expect(admitted(all, { username: 'u', password: 'x' })).toBe(false)
    expect(admitted(all, { username: 'v', password: undefined })).toBe(false)
    expect(admitted(all, { username: 'stranger', password: 'x' })).toBe(true)
    expect(admitted(all)).toBe(true)
  })

  test('insecure ports and missing names, when forbidden', () => {
    const texts = new Map([['auth.addr./b.allow', '*']])
    expect(refusal(brick, applicant, { texts, allowInsecure: false, strict: false })).toBeDefined()
    expect(refusal(brick, applicant, { texts, allowInsecure: true, strict: true })).toBeDefined()
  })
})
