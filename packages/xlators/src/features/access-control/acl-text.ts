/**
 * ACLs as text, which libgfapi's callers (NFS servers) read and write by names of their own:
 * `u::rw-,u:1001:r--,g::r--,m::r--,o::---`, the short form with numbers of acl_to_any_text(3). Pure.
 */

import { type Acl, type AclEntry, AclTag } from './acl.ts'

export const ACL_ACCESS_TEXT_KEY = 'glusterfs.posix.acl'
export const ACL_DEFAULT_TEXT_KEY = 'glusterfs.posix.default_acl'

const NO_ID = 0xffffffff
const LETTERS: ReadonlyMap<number, string> = new Map([
  [AclTag.USER_OBJ, 'u'],
  [AclTag.USER, 'u'],
  [AclTag.GROUP_OBJ, 'g'],
  [AclTag.GROUP, 'g'],
  [AclTag.MASK, 'm'],
  [AclTag.OTHER, 'o'],
])
/** Tags by letter: of the owner (or all), and of somebody with a number. */
const TAGS: ReadonlyMap<string, { plain: number; named?: number }> = new Map([
  ['u', { plain: AclTag.USER_OBJ, named: AclTag.USER }],
  ['g', { plain: AclTag.GROUP_OBJ, named: AclTag.GROUP }],
  ['m', { plain: AclTag.MASK }],
  ['o', { plain: AclTag.OTHER }],
])

/** The list that mode bits stand for. */
export function aclOfMode(mode: number): Acl {
  return [
    { tag: AclTag.USER_OBJ, permissions: (mode >> 6) & 7, id: NO_ID },
    { tag: AclTag.GROUP_OBJ, permissions: (mode >> 3) & 7, id: NO_ID },
    { tag: AclTag.OTHER, permissions: mode & 7, id: NO_ID },
  ]
}

export function printAclText(acl: Acl): string {
  return acl
    .map(({ tag, permissions, id }) => {
      const who = tag === AclTag.USER || tag === AclTag.GROUP ? String(id) : ''
      const may = ['r', 'w', 'x'].map((letter, i) => ((permissions >> (2 - i)) & 1 ? letter : '-'))
      return `${LETTERS.get(tag)}:${who}:${may.join('')}`
    })
    .join(',')
}

const ENTRY = /^(u|g|m|o|user|group|mask|other):(\d*):([r-][w-][x-])$/

/** Undefined for a text that is no ACL. Entries come out in the order that the kernel keeps. */
export function parseAclText(text: string): Acl | undefined {
  const entries: AclEntry[] = []
  for (const part of text.split(/[,\n]/)) {
    if (part.trim() === '') continue
    const entry = parseEntry(part.trim())
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  return entries.length === 0
    ? undefined
    : entries.toSorted((one, other) => one.tag - other.tag || one.id - other.id)
}

function parseEntry(text: string): AclEntry | undefined {
  const match = ENTRY.exec(text)
  if (match === null) return undefined
  const [, word, who, may] = match as unknown as [string, string, string, string]
  const tags = TAGS.get(word.charAt(0))
  const tag = who === '' ? tags?.plain : tags?.named
  if (tag === undefined) return undefined
  const permissions = (may[0] === 'r' ? 4 : 0) | (may[1] === 'w' ? 2 : 0) | (may[2] === 'x' ? 1 : 0)
  return { tag, permissions, id: who === '' ? NO_ID : Number(who) }
}
