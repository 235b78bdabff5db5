/**
 * Metadata: what md-cache holds of one inode, and when it may be believed.
 *
 * The rule that must not break: a reply that was asked for before the cache was told of a change
 * never gets in after it. Who asks takes a `ticket` first and brings it along with the reply.
 */

import type { DictValue, Gfid, Iatt } from '@ashlar/core'

export class Metadata {
  #stat: Iatt | undefined
  #statAt = -Infinity
  #ticket = 0
  /** Changes of ours on their way: what they do is no news of somebody else. */
  changing = 0
  /** Fops of ours on their way that take a name from it: whether it has one the bricks know. */
  leaving = 0
  /** Of a directory: when a file in it was last locked. Names learnt before are asked for again. */
  lockedAt = -Infinity
  /** The name under which the inode was last found, and when. */
  #parent: Gfid | undefined
  #name = ''
  #namedAt = -Infinity
  /** undefined as a value: the file has no such xattr. */
  #xattrs: Map<string, DictValue | undefined> | undefined
  #xattrsAt = -Infinity
  #xattrTicket = 0

  /** To be taken before a request is sent whose reply is to be stored. */
  get ticket(): number {
    return this.#ticket
  }

  get xattrTicket(): number {
    return this.#xattrTicket
  }

  /** The attributes, when they are younger than `since`. */
  statSince(since: number): Iatt | undefined {
    return this.#statAt > since ? this.#stat : undefined
  }

  /** The attributes last seen, however old; undefined after a change whose outcome is not known. */
  get lastStat(): Iatt | undefined {
    return this.#stat
  }

  /**
   * Takes attributes from a reply. What is older, by its ctime, than what is held and still fresh
   * has been overtaken by another reply.
   */
  store(stat: Iatt, now: number, since: number, ticket: number): void {
    if (stat.isEmpty) {
      this.invalidate()
      return
    }
    if (ticket !== this.#ticket) return
    const held = this.statSince(since)
    if (held !== undefined && isOlder(stat, held)) return
    this.#stat = stat
    this.#statAt = now
  }

  /** A change of ours has made them these: what was asked for before it was done is older. */
  changed(stat: Iatt, now: number, since: number): void {
    this.store(stat, now, since, this.#ticket)
    this.#ticket += 1
  }

  /** The attributes are not what they were; replies under way may not know yet. */
  invalidate(): void {
    this.#ticket += 1
    this.#stat = undefined
    this.#statAt = -Infinity
  }

  /** The inode stands under this name, as a reply has just said. */
  named(parent: Gfid, name: string, now: number): void {
    this.#parent = parent
    this.#name = name
    this.#namedAt = now
  }

  unname(): void {
    this.#namedAt = -Infinity
  }

  isNamed(parent: Gfid, name: string, since: number): boolean {
    if (this.leaving > 0 || this.#namedAt <= since) return false
    return this.#name === name && this.#parent === parent
  }

  /** True when it is known whether the xattr is there. */
  knowsXattr(name: string, since: number): boolean {
    return this.#xattrsAt > since && this.#xattrs?.has(name) === true
  }

  /** Only after `knowsXattr`. */
  xattr(name: string): DictValue | undefined {
    return this.#xattrs?.get(name)
  }

  /** What a request has told of an xattr; nothing, when all that is held is younger. */
  storeXattr(
    name: string,
    value: DictValue | undefined,
    now: number,
    since: number,
    ticket: number,
  ): void {
    if (ticket !== this.#xattrTicket || now < this.#xattrsAt) return
    if (this.#xattrs === undefined || this.#xattrsAt <= since) {
      this.#xattrs = new Map()
      this.#xattrsAt = now
    }
    this.#xattrs.set(name, value)
  }

  invalidateXattrs(): void {
    this.#xattrTicket += 1
    this.#xattrs = undefined
    this.#xattrsAt = -Infinity
  }
}

function isOlder(stat: Iatt, than: Iatt): boolean {
  return stat.ctime < than.ctime || (stat.ctime === than.ctime && stat.ctimeNsec < than.ctimeNsec)
}

/** True when both tell of the same content. */
export function sameContent(one: Iatt, other: Iatt): boolean {
  return one.mtime === other.mtime && one.mtimeNsec === other.mtimeNsec && one.size === other.size
}
