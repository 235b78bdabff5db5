/**
 * Who may use a brick: `auth.login` (user and password, as trusted volfiles carry them) and
 * `auth.addr` (addresses). One module that refuses is enough to be refused; else one that accepts is
 * needed (xlators/protocol/auth; xlators/protocol/server/src/authenticate.c).
 */

import { type Address, errnoText, Errno } from '@ashlar/core'

type Verdict = 'accept' | 'reject' | 'no opinion'

export interface Applicant {
  readonly address: Address
  readonly username: string | undefined
  readonly password: string | undefined
  /** Directory it asks to have as its root; '' for the volume's own. */
  readonly subdirectory: string
}

export interface AuthSettings {
  /** The options of protocol/server as written. */
  readonly texts: ReadonlyMap<string, string>
  readonly allowInsecure: boolean
  readonly strict: boolean
}

const PRIVILEGED_PORTS = 1024

/** Undefined when the applicant is admitted to `brick`, else the reason for the refusal. */
export function refusal(
  brick: string,
  applicant: Applicant,
  settings: AuthSettings,
): string | undefined {
  const verdicts = [login(brick, applicant, settings), address(brick, applicant, settings)]
  if (!verdicts.includes('reject') && verdicts.includes('accept')) return undefined
  return `Authentication failed: ${errnoText(Errno.EACCES)}`
}

function login(brick: string, applicant: Applicant, settings: AuthSettings): Verdict {
  const { username, password } = applicant
  const allowed = settings.texts.get(`auth.login.${brick}.allow`)
  if (username === undefined) return settings.strict ? 'reject' : 'no opinion'
  if (allowed === undefined || !allowed.split(/[,\s]+/).includes(username)) {
    return settings.strict ? 'reject' : 'no opinion'
  }
  const expected = settings.texts.get(`auth.login.${username}.password`)
  return expected !== undefined && expected === password ? 'accept' : 'reject'
}

function address(brick: string, applicant: Applicant, settings: AuthSettings): Verdict {
  const peer = applicant.address
  if ('path' in peer) return 'accept' // whoever may open the socket's file
  if (!settings.allowInsecure && peer.port >= PRIVILEGED_PORTS) return 'reject'
  const listed = (list: string): boolean => {
    const patterns = settings.texts.get(`auth.addr.${brick}.${list}`)
    return patterns !== undefined && listHas(patterns, peer.host, applicant.subdirectory)
  }
  if (listed('reject')) return 'reject'
  return listed('allow') ? 'accept' : 'no opinion'
}

/**
 * A list such as `10.0.0.0/24,192.168.1.*,/dir(10.1.1.1|10.1.1.2)`. Entries with a directory count
 * only for clients that mount it; the others count for all.
 */
export function listHas(list: string, host: string, subdirectory: string): boolean {
  for (const entry of list.split(',')) {
    const item = entry.trim()
    if (item === '') continue
    if (!item.startsWith('/')) {
      if (item.split('|').some(pattern => addressMatches(pattern.trim(), host))) return true
      continue
    }
    const open = item.indexOf('(')
    const directory = open === -1 ? item : item.slice(0, open)
    if (trimSlashes(directory) !== trimSlashes(subdirectory)) continue
    if (open === -1) return true
    const patterns = item.slice(open + 1, item.endsWith(')') ? -1 : undefined)
    if (patterns.split('|').some(pattern => addressMatches(pattern.trim(), host))) return true
  }
  return false
}

function trimSlashes(path: string): string {
  return path.replace(/^\/+|\/+$/g, '')
}

/** `*`, shell patterns, IPv4 subnets, addresses, `localhost`. */
export function addressMatches(pattern: string, host: string): boolean {
  if (pattern === '*' || pattern === host) return true
  if (pattern === 'localhost') return host === '::1' || host.startsWith('127.')
  const slash = pattern.indexOf('/')
  if (slash !== -1) {
    return inSubnet(host, pattern.slice(0, slash), Number(pattern.slice(slash + 1)))
  }
  if (!/[*?[]/.test(pattern)) return false
  return globToRegExp(pattern).test(host)
}

function inSubnet(host: string, network: string, bits: number): boolean {
  const address = ipv4Number(host)
  const base = ipv4Number(network)
  if (address === undefined || base === undefined) return false
  if (!Number.isInteger(bits) || bits < 0 || bits > 32) return false
  const size = 2 ** (32 - bits)
  return Math.floor(address / size) === Math.floor(base / size)
}

function ipv4Number(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  return match.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0)
}

/** fnmatch(3) patterns, of which addresses use `*`, `?` and sets. */
function globToRegExp(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  try {
    return new RegExp(`^${source}$`)
  } catch {
    return /^$/ // a set that is not closed matches nothing
  }
}
