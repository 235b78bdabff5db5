/** What md-cache can be told, and which extended attributes it keeps when it is told so. */

import { defineOptions, globRegExp, type OptionValues } from '@ashlar/core'

export const mdCacheOptions = defineOptions({
  'md-cache-timeout': {
    kind: 'int',
    default: '1',
    min: 0,
    max: 600,
    since: 2,
    doc: 'Seconds for which cached metadata is good.',
  },
  'cache-invalidation': {
    kind: 'bool',
    default: 'false',
    since: 30900,
    doc: 'Drop cached metadata on news from the bricks that others changed it.',
  },
  'global-cache-invalidation': {
    kind: 'bool',
    default: 'true',
    since: 60000,
    doc: 'Have all caches above drop their data of a file that somebody else has changed.',
  },
  'force-readdirp': {
    kind: 'bool',
    default: 'true',
    since: 2,
    doc: 'List directories with attributes, whatever was asked.',
  },
  'cache-capability-xattrs': {
    kind: 'bool',
    default: 'true',
    since: 31000,
    doc: 'Cache security.capability.',
  },
  'cache-ima-xattrs': {
    kind: 'bool',
    default: 'true',
    since: 31000,
    doc: 'Cache security.ima.',
  },
  'cache-selinux': {
    kind: 'bool',
    default: 'false',
    since: 2,
    doc: 'Cache security.selinux.',
  },
  'cache-posix-acl': {
    kind: 'bool',
    default: 'false',
    since: 2,
    doc: 'Cache POSIX access control lists.',
  },
  'cache-glusterfs-acl': {
    kind: 'bool',
    default: 'false',
    since: 60000,
    doc: 'Cache access control lists in the form of glusterfs.posix.acl.',
  },
  'cache-swift-metadata': {
    kind: 'bool',
    default: 'false',
    since: 30710,
    doc: 'Cache user.swift.metadata.',
  },
  'cache-samba-metadata': {
    kind: 'bool',
    default: 'false',
    since: 30900,
    doc: 'Cache the xattrs in which Samba keeps its metadata.',
  },
  'xattr-cache-list': {
    kind: 'list',
    default: '',
    since: 40000,
    doc: 'Names of further xattrs to cache, with wildcards, separated by commas.',
  },
  'pass-through': {
    kind: 'bool',
    default: 'false',
    since: 40100,
    doc: 'Cache nothing.',
  },
})

export type MdCacheValues = OptionValues<typeof mdCacheOptions>

/** Names that each switch stands for. */
const NAMES = [
  ['cache-capability-xattrs', ['security.capability']],
  ['cache-ima-xattrs', ['security.ima']],
  ['cache-selinux', ['security.selinux']],
  ['cache-posix-acl', ['system.posix_acl_access', 'system.posix_acl_default']],
  ['cache-glusterfs-acl', ['glusterfs.posix.acl', 'glusterfs.posix.default_acl']],
  ['cache-swift-metadata', ['user.swift.metadata']],
  [
    'cache-samba-metadata',
    [
      'user.DOSATTRIB',
      'user.DosStream.*',
      'user.org.netatalk.Metadata',
      'user.org.netatalk.ResourceFork',
      'security.NTACL',
    ],
  ],
] as const

/** The xattrs that are cached: names and patterns, and a test for both. */
export class CachedNames {
  readonly names: readonly string[]
  readonly #exact: ReadonlySet<string>
  readonly #patterns: readonly RegExp[]

  constructor(options: MdCacheValues) {
    const names: string[] = []
    for (const [option, keys] of NAMES) if (options[option]) names.push(...keys)
    for (const name of options['xattr-cache-list']) names.push(name.trim())
    this.names = names
    this.#exact = new Set(names)
    this.#patterns = names.filter(name => /[*?[]/.test(name)).map(globRegExp)
  }

  has(name: string): boolean {
    return this.#exact.has(name) || this.#patterns.some(pattern => pattern.test(name))
  }
}
