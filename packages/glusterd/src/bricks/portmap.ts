/**
 * Portmap: which port serves which brick. A brick signs in over its connection to glusterd, and the
 * entry lives as long as that connection. Bricks found running when glusterd starts have an entry
 * on trust, until they sign in themselves.
 */

interface Entry {
  readonly port: number
  readonly pid: number
  /** The connection that signed in; undefined for an entry on trust. */
  readonly owner: object | undefined
}

export class Portmap {
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Map<string, Set<() => void>>()

  /** The brick is served on `port` as long as `owner` lives. */
  signIn(path: string, port: number, pid: number, owner: object | undefined): void {
    this.#entries.set(path, { port, pid, owner })
    for (const arrived of this.#waiting.get(path) ?? []) arrived()
  }

  /** The brick itself says goodbye, or is known to be gone. */
  signOut(path: string): void {
    this.#entries.delete(path)
  }

  /** A connection has ended: what it signed in is gone. */
  drop(owner: object): void {
    for (const [path, entry] of this.#entries) {
      if (entry.owner === owner) this.#entries.delete(path)
    }
  }

  /** Undefined when nobody serves the brick. */
  port(path: string): number | undefined {
    return this.#entries.get(path)?.port
  }

  uses(port: number): boolean {
    return [...this.#entries.values()].some(entry => entry.port === port)
  }

  brickAt(port: number): string | undefined {
    for (const [path, entry] of this.#entries) if (entry.port === port) return path
    return undefined
  }

  /** Calls `arrived` at the next sign-in of the brick; returns how to stop waiting. */
  onSignIn(path: string, arrived: () => void): () => void {
    const waiting = this.#waiting.get(path) ?? new Set()
    this.#waiting.set(path, waiting)
    waiting.add(arrived)
    return () => {
      waiting.delete(arrived)
      if (waiting.size === 0) this.#waiting.delete(path)
    }
  }
}
