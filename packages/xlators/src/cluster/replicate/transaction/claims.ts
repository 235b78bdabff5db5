/**
 * Claims: what operations of this process are working on — names of a directory, ranges of a file.
 * Two that conflict would reach the bricks in different orders, so the later one waits; others go
 * side by side.
 */

export interface Claim<T> {
  readonly what: T
  /** Lets it go on; undefined once it has. */
  go: (() => void) | undefined
}

export class Claims<T> {
  readonly #conflict: (one: T, other: T) => boolean
  /** In the order of arrival; those with `go` wait. */
  readonly #claims: Claim<T>[] = []

  constructor(conflict: (one: T, other: T) => boolean) {
    this.#conflict = conflict
  }

  get empty(): boolean {
    return this.#claims.length === 0
  }

  /** The claim, when it need not wait: `release` it. */
  tryClaim(what: T): Claim<T> | undefined {
    if (this.#claims.some(earlier => this.#conflict(earlier.what, what))) return undefined
    const claim: Claim<T> = { what, go: undefined }
    this.#claims.push(claim)
    return claim
  }

  /** Resolves when nothing earlier is in the way. */
  claim(what: T): Promise<Claim<T>> {
    const free = this.tryClaim(what)
    if (free !== undefined) return Promise.resolve(free)
    const claim: Claim<T> = { what, go: undefined }
    this.#claims.push(claim)
    return new Promise(resolve => {
      claim.go = () => resolve(claim)
    })
  }

  release(claim: Claim<T>): void {
    this.#claims.splice(this.#claims.indexOf(claim), 1)
    for (const [position, waiting] of this.#claims.entries()) {
      if (waiting.go === undefined) continue
      const earlier = this.#claims.slice(0, position)
      if (earlier.some(other => this.#conflict(other.what, waiting.what))) continue
      waiting.go()
      waiting.go = undefined
    }
  }
}

/** A name in a directory; undefined: the whole directory. */
export type NameClaim = string | undefined

export function namesConflict(one: NameClaim, other: NameClaim): boolean {
  return one === undefined || other === undefined || one === other
}

/** Bytes of a file, from `start` up to but not including `end`. */
export interface RangeClaim {
  readonly start: number
  readonly end: number
}

export function rangesConflict(one: RangeClaim, other: RangeClaim): boolean {
  return one.start < other.end && other.start < one.end
}
