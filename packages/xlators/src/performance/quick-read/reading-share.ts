/**
 * ReadingShare: what part of the files that are looked up, lately, are read. Contents come along with
 * listings while most are: a scan of attributes goes without from its first names on, one that reads
 * has them from its first names on, whatever was done before.
 */

/** The last so many files tell. */
const WINDOW = 8
const WORTH = 0.5
/** So many contents brought for nothing cost as much as one that was read has saved. */
const UNREAD_PER_READ = 8

export class ReadingShare {
  #share = 0
  /** Files read from what listings have brought, since `expired` was last called. */
  #taken = 0

  /** From 0 to 1. */
  get share(): number {
    return this.#share
  }

  get isWorth(): boolean {
    return this.#share >= WORTH
  }

  lookedUp(): void {
    this.#share -= this.#share / WINDOW
  }

  read(): void {
    this.#share = Math.min(1, this.#share + 1 / WINDOW)
  }

  /** A content that a listing had brought is read. */
  took(): void {
    this.#taken += 1
  }

  /** So many contents that listings had brought went unread. */
  expired(unread: number): void {
    if (unread > this.#taken * UNREAD_PER_READ) this.#share = 0
    this.#taken = 0
  }
}
