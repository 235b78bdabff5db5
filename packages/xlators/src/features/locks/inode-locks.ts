/** InodeLocks: everything that is locked on one inode, by kind and domain. */

import type { Inode } from '@ashlar/core'
import { ENTRY_RULES, type EntryLock } from './entry-locks.ts'
import { LockDomain, type LockRules } from './lock-domain.ts'
import { PosixLocks } from './posix-locks.ts'
import { RANGE_RULES, type RangeLock } from './range-locks.ts'
import type { Holder } from './waiting.ts'

/** Tells the holder of a lock in a domain that somebody waits for it. */
type Notice = (holder: Holder, domain: string) => void

interface Removal {
  readonly client: string
  readonly go: () => void
  readonly contention: Notice
}

export class InodeLocks {
  readonly inode: Inode
  readonly posix = new PosixLocks()
  readonly ranges = new Map<string, LockDomain<RangeLock>>()
  readonly entries = new Map<string, LockDomain<EntryLock>>()
  /** Removals that wait until no other client holds an inodelk. */
  #removals: Removal[] = []
  #held = false

  constructor(inode: Inode) {
    this.inode = inode
  }

  range(domain: string): LockDomain<RangeLock> {
    return obtain(this.ranges, domain, RANGE_RULES)
  }

  entry(domain: string): LockDomain<EntryLock> {
    return obtain(this.entries, domain, ENTRY_RULES)
  }

  /** After any change: a locked inode is not evicted, empty domains go, removals go ahead. */
  settle(): void {
    for (const [domain, locks] of this.ranges) if (locks.empty) this.ranges.delete(domain)
    for (const [domain, locks] of this.entries) if (locks.empty) this.entries.delete(domain)
    const held = !this.posix.empty || this.ranges.size > 0 || this.entries.size > 0
    if (held !== this.#held) {
      this.#held = held
      if (held) this.inode.table.ref(this.inode)
      else this.inode.table.unref(this.inode)
    }
    const ready = this.#removals.filter(removal => !this.#lockedByOthers(removal.client))
    this.#removals = this.#removals.filter(removal => !ready.includes(removal))
    for (const removal of ready) removal.go()
    // Whoever has a lock by now was not there to be told when they came.
    for (const removal of this.#removals) this.#tell(removal)
  }

  /**
   * Resolves when no other user's inodelk stands against removing the inode. Those who hold one are
   * told that somebody waits, those who get one meanwhile, too. Locks of distribute do not stand
   * against it, other than on bricks of GlusterFS: who has one waits for locks of replicate next,
   * which whoever removes the inode holds.
   */
  removable(client: string, contention: Notice): Promise<void> | undefined {
    if (!this.#lockedByOthers(client)) return undefined
    return new Promise(go => {
      const removal = { client, go, contention }
      this.#removals.push(removal)
      this.#tell(removal)
    })
  }

  #tell({ client, contention }: Removal): void {
    for (const [domain, locks] of this.ranges) {
      if (isOfDistribute(domain)) continue
      for (const lock of locks.granted) if (isInTheWay(lock, client)) contention(lock, domain)
    }
  }

  #lockedByOthers(client: string): boolean {
    for (const [domain, locks] of this.ranges) {
      if (isOfDistribute(domain)) continue
      if (locks.granted.some(lock => isInTheWay(lock, client))) return true
    }
    return false
  }

  dropClient(client: string): void {
    for (const locks of this.ranges.values()) locks.dropClient(client)
    for (const locks of this.entries.values()) locks.dropClient(client)
    this.posix.drop(lock => lock.client === client)
    this.#removals = this.#removals.filter(removal => {
      if (removal.client === client) removal.go()
      return removal.client !== client
    })
    this.settle()
  }
}

/** Domains of cluster/distribute: `dht.layout.heal`, `dht.file.migrate`. */
function isOfDistribute(domain: string): boolean {
  return domain.startsWith('dht.')
}

function isInTheWay(lock: Holder, client: string): boolean {
  return lock.client !== client && lock.pid >= 0
}

function obtain<L extends Holder>(
  domains: Map<string, LockDomain<L>>,
  name: string,
  rules: LockRules<L>,
): LockDomain<L> {
  let domain = domains.get(name)
  if (domain === undefined) {
    domain = new LockDomain(rules)
    domains.set(name, domain)
  }
  return domain
}
