import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aclOfMode, parseAclText, printAclText } from './acl-text.ts'
import { AclTag, allows, parseAcl, printAcl } from './acl.ts'

const NOBODY_ID = 0xffffffff
const acl = [
  { tag: AclTag.USER_OBJ, permissions: 7, id: NOBODY_ID },
  { tag: AclTag.USER, permissions: 6, id: 1001 },
  { tag: AclTag.GROUP_OBJ, permissions: 4, id: NOBODY_ID },
  { tag: AclTag.GROUP, permissions: 7, id: 2001 },
  { tag: AclTag.MASK, permissions: 5, id: NOBODY_ID },
  { tag: AclTag.OTHER, permissions: 0, id: NOBODY_ID },
]
const file = { uid: 1000, gid: 2000, mode: 0o100750, acl }
const user = (
  uid: number,
  gid = 9,
  groups: number[] = [],
): { uid: number; gid: number; groups: number[] } => ({ uid, gid, groups })

describe('acl', () => {
  it.each([
    ['the owner, whatever the mask', user(1000), 7, true],
    ['a named user within the mask', user(1001), 4, true],
    ['a named user beyond the mask', user(1001), 2, false],
    ['the owning group', user(5, 2000), 4, true],
    ['the owning group beyond its bits', user(5, 2000), 1, false],
    ['a named group within the mask', user(5, 9, [2001]), 5, true],
    ['a named group beyond the mask', user(5, 9, [2001]), 2, false],
    ['others', user(5), 4, false],
  ])('decides for %s', (_who, caller, wanted, allowed) => {
    expect(allows(file, caller, wanted)).toBe(allowed)
  })

  it('falls back to mode bits without a list', () => {
    const plain = { ...file, acl: null }
    expect(allows(plain, user(1000), 7)).toBe(true)
    expect(allows(plain, user(5, 2000), 5)).toBe(true)
    expect(allows(plain, user(5, 2000), 2)).toBe(false)
    expect(allows(plain, user(5), 1)).toBe(false)
  })

  it('parses what it prints', () => {
    const entry = fc.record({
      tag: fc.constantFrom(...Object.values(AclTag)),
      permissions: fc.integer({ min: 0, max: 7 }),
      id: fc.integer({ min: 0, max: 0xffffffff }),
    })
    fc.assert(
      fc.property(fc.array(entry), entries => {
        expect(parseAcl(printAcl(entries))).toEqual(entries)
      }),
    )
  })

  it.each([
    Buffer.alloc(0),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from([2, 0, 0, 0, 1]),
    Buffer.from([2, 0, 0, 0, 3, 0, 7, 0, 0, 0, 0, 0]),
  ])('takes no garbage: %j', value => {
    expect(parseAcl(value)).toBeUndefined()
  })
})

describe('acl as text', () => {
  it('is short and numeric', () => {
    expect(printAclText(acl)).toBe('u::rwx,u:1001:rw-,g::r--,g:2001:rwx,m::r-x,o::---')
    expect(printAclText(aclOfMode(0o100754))).toBe('u::rwx,g::r-x,o::r--')
  })

  it('is read back, long words and any order, too', () => {
    expect(parseAclText(printAclText(acl))).toEqual(acl)
    expect(
      parseAclText('other::---\nmask::r-x\ngroup:2001:rwx,user:1001:rw-,g::r--,user::rwx\n'),
    ).toEqual(acl)
  })

  it.each(['', 'u::rwz', 'u:name:rwx', 'm:5:rwx', 'x::rwx', 'u::rw', 'u:rwx'])(
    'is not read from %j',
    text => {
      expect(parseAclText(text)).toBeUndefined()
    },
  )
})
