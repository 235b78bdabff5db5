/**
 * ListedContents: contents that listings have brought, of files that nobody has looked up yet. They
 * are kept for moments; what is opened meanwhile is read from them.
 *
 * A file that this client changes while a listing is under way, or later, has no content here.
 */

import { type Gfid, type Iatt, LISTED_CONTENT, type ReaddirpReply } from '@ashlar/core'

/** Bytes kept at most; the oldest go first. */
const BYTES_MAX = 32 * 1024 * 1024
/** What a file costs beside its content. */
const OVERHEAD_BYTES = 256

export interface ListedContent {
  readonly stat: Iatt
  readonly content: Buffer
  /** When the brick was asked, in milliseconds. */
  readonly at: number
}

export class ListedContents {
  readonly #contents = new Map<Gfid, ListedContent>()
  #bytes = 0
  #listings = 0
  readonly #changed = new Set<Gfid>()

  /** Runs a listing that is to bring contents, and takes them in. */
  async during(
    list: () => Promise<ReaddirpReply | { readonly ok: false }>,
    now: number,
  ): Promise<void> {
    this.#listings += 1
    const reply = await list()
    this.#listings -= 1
    if (reply.ok) {
      for (const { stat, dict } of reply.entries) {
        const content = dict?.getBytes(LISTED_CONTENT)
        if (content === undefined) continue
        dict?.delete(LISTED_CONTENT)
        if (stat.isRegular && stat.size === content.length && !this.#changed.has(stat.gfid))
          this.#keep(stat.gfid, { stat, content, at: reply.askedAt ?? now })
      }
    }
    if (this.#listings === 0) this.#changed.clear()
  }

  /** The content, if it was asked for later than `since`; it is handed over. */
  take(gfid: Gfid, since: number): ListedContent | undefined {
    const known = this.#contents.get(gfid)
    if (known === undefined) return undefined
    this.#drop(gfid, known)
    return known.at > since ? known : undefined
  }

  /** The file is changed, or not known any more to be what it was. */
  changed(gfid: Gfid): void {
    if (this.#listings > 0) this.#changed.add(gfid)
    const known = this.#contents.get(gfid)
    if (known !== undefined) this.#drop(gfid, known)
  }

  /** Attributes have come: content of another time goes. */
  compare(now: Iatt): void {
    const known = this.#contents.get(now.gfid)
    if (known === undefined) return
    const { stat } = known
    const same =
      stat.size === now.size && stat.mtime === now.mtime && stat.mtimeNsec === now.mtimeNsec
    if (!same) this.#drop(now.gfid, known)
  }

  /** What was asked for before `since` is of no use. The result is how many those were. */
  expire(since: number): number {
    let count = 0
    for (const [gfid, known] of this.#contents) {
      if (known.at > since) break
      this.#drop(gfid, known)
      count += 1
    }
    return count
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#contents.size
  }

  #keep(gfid: Gfid, listed: ListedContent): void {
    const before = this.#contents.get(gfid)
    if (before !== undefined) this.#drop(gfid, before)
    this.#contents.set(gfid, listed)
    this.#bytes += listed.content.length + OVERHEAD_BYTES
    for (const [oldest, known] of this.#contents) {
      if (this.#bytes <= BYTES_MAX) return
      this.#drop(oldest, known)
    }
  }

  #drop(gfid: Gfid, listed: ListedContent): void {
    this.#contents.delete(gfid)
    this.#bytes -= listed.content.length + OVERHEAD_BYTES
  }
}
