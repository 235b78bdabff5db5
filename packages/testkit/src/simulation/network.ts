/**
 * SimulatedNetwork: byte streams between hosts of a simulation. Within a connection bytes stay in
 * order; each connection has delays of its own, so that several overtake each other. What TCP does
 * when a network or a peer fails is what connections do here:
 *
 *   - a host that dies is refused afterwards, and its connections are reset, after what was on its way;
 *   - a link that is cut resets its connections and refuses new ones until it is mended;
 *   - a link that is silent holds everything back; when it speaks again all of it arrives, on the
 *     connections that nobody has given up meanwhile. An end that its peer has given up learns of
 *     it then, or from its keepalive.
 */

import {
  type Address,
  addressText,
  type Listener,
  type Network,
  type Stream,
  type StreamHandler,
} from '@ashlar/core'
import type { Dice } from './dice.ts'
import type { Timeline } from './timeline.ts'

export type LinkState = 'good' | 'cut' | 'silent'

/** After so much silence with data under way an end gives up by itself. */
const KEEPALIVE_MS = 20_000
const PORT_FIRST = 49_152

interface Delays {
  /** Milliseconds for the fastest and the slowest delivery. */
  low: number
  high: number
}

/** One end of a connection. */
class End implements Stream {
  readonly remote: Address
  readonly local: Address
  readonly host: string
  peer!: End
  handler!: StreamHandler
  queued = 0
  /** What is on its way to this end, in order; `undefined` is the end of the stream. */
  readonly arriving: { at: number; bytes: Buffer | undefined; reason: string }[] = []
  closed = false
  /** No more is sent from here. */
  ended = false
  paused = false
  #network: SimulatedNetwork

  constructor(network: SimulatedNetwork, host: string, local: Address, remote: Address) {
    this.#network = network
    this.host = host
    this.local = local
    this.remote = remote
  }

  write(chunks: readonly Buffer[]): void {
    if (this.closed || this.ended) return
    this.#network.send(this, Buffer.concat(chunks))
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#network.deliver(this)
  }

  close(): void {
    this.#network.finish(this, 'closed', 'the peer closed the connection')
  }
}

export class SimulatedNetwork {
  readonly #timeline: Timeline
  readonly #dice: Dice
  readonly #listeners = new Map<string, (stream: Stream) => StreamHandler>()
  readonly #ends = new Set<End>()
  readonly #states = new Map<string, LinkState>()
  readonly #alive: (host: string) => boolean
  readonly delays: Delays = { low: 0.05, high: 0.6 }
  #ports = 1

  constructor(options: { timeline: Timeline; dice: Dice; alive: (host: string) => boolean }) {
    this.#timeline = options.timeline
    this.#dice = options.dice
    this.#alive = options.alive
  }

  /** The network as one host sees it. */
  of(host: string): Network {
    return {
      connect: (address, handler) => this.#connect(host, address, handler),
      listen: (address, accept) => this.#listen(host, address, accept),
    }
  }

  state(one: string, other: string): LinkState {
    return this.#states.get(linkName(one, other)) ?? 'good'
  }

  /** How two hosts reach each other from now on. */
  set(one: string, other: string, state: LinkState): void {
    this.#states.set(linkName(one, other), state)
    for (const end of [...this.#ends]) {
      if (linkName(end.host, end.peer.host) !== linkName(one, other)) continue
      if (state === 'cut') this.#reset(end, 'the link was cut')
      else if (state === 'good') this.deliver(end)
    }
  }

  /**
   * A host has died. Told: its system resets its connections, after what it has sent. Untold: its
   * peers hear nothing any more (the machine is gone).
   */
  died(host: string, told: boolean): void {
    for (const name of [...this.#listeners.keys()])
      if (name.startsWith(`${host}:`)) this.#listeners.delete(name)
    for (const end of [...this.#ends]) {
      if (end.host !== host) continue
      end.arriving.length = 0
      if (told) this.finish(end, 'died', 'reset by peer')
      else {
        end.closed = true
        this.#ends.delete(end)
        this.#keepalive(end.peer)
      }
    }
  }

  send(from: End, bytes: Buffer): void {
    const { peer } = from
    if (bytes.length > 0) {
      // A record may come in pieces.
      const cut = this.#dice.chance(0.03) ? this.#dice.integer(bytes.length) : 0
      if (cut > 0) this.#queue(peer, bytes.subarray(0, cut), '')
      this.#queue(peer, bytes.subarray(cut), '')
    }
    this.#timeline.after(0, () => {
      if (!from.closed && this.#alive(from.host)) from.handler.drained()
    })
    if (this.state(from.host, peer.host) === 'silent') this.#keepalive(from)
    // A machine that was started again knows nothing of the connection, and says so.
    else if (peer.closed && this.#alive(peer.host)) this.#reset(from, 'reset by peer')
  }

  /** Ends a connection from one side: the other hears of it after all that was sent. */
  finish(end: End, own: string, told: string): void {
    if (end.closed) return
    end.closed = true
    end.ended = true
    this.#ends.delete(end)
    end.arriving.length = 0
    this.#timeline.after(0, () => {
      if (this.#alive(end.host)) end.handler.closed(own)
    })
    if (!end.peer.closed) this.#queue(end.peer, undefined, told)
  }

  /** Hands over everything whose time has come. */
  deliver(end: End): void {
    while (!end.closed && !end.paused && end.arriving.length > 0) {
      const next = end.arriving[0] as End['arriving'][number]
      if (this.state(end.host, end.peer.host) === 'silent') return
      if (next.at > this.#timeline.now) {
        this.#timeline.after(next.at - this.#timeline.now, () => this.deliver(end))
        return
      }
      end.arriving.shift()
      if (next.bytes === undefined) {
        end.closed = true
        end.ended = true
        this.#ends.delete(end)
        if (this.#alive(end.host)) end.handler.closed(next.reason)
      } else if (this.#alive(end.host)) receive(end.handler, next.bytes)
    }
  }

  #queue(to: End, bytes: Buffer | undefined, reason: string): void {
    const { low, high } = this.delays
    // Most are quick, some are not.
    const span = this.#dice.chance(0.05) ? (high - low) * 10 : high - low
    const at = this.#timeline.now + low + this.#dice.between(0, 1) * span
    const last = to.arriving.at(-1)
    to.arriving.push({ at: Math.max(at, last?.at ?? 0), bytes, reason })
    if (to.arriving.length === 1)
      this.#timeline.after(at - this.#timeline.now, () => this.deliver(to))
  }

  #reset(end: End, reason: string): void {
    if (end.closed) return
    end.closed = true
    end.ended = true
    end.arriving.length = 0
    this.#ends.delete(end)
    this.#timeline.after(this.#dice.between(0, 1), () => {
      if (this.#alive(end.host)) end.handler.closed(reason)
    })
  }

  #keepalive(end: End): void {
    this.#timeline.after(KEEPALIVE_MS, () => {
      const peerGone = !this.#alive(end.peer.host) || end.peer.closed
      if (peerGone || this.state(end.host, end.peer.host) === 'silent')
        this.#reset(end, 'no answer to keepalives')
    })
  }

  #connect(host: string, address: Address, handler: StreamHandler): Stream {
    const local: Address = { host, port: this.#ports++ }
    const target = 'path' in address ? '' : address.host
    const end = new End(this, host, local, address)
    end.handler = handler
    end.peer = end
    const delay = this.#dice.between(this.delays.low, this.delays.high) * 2
    this.#timeline.after(delay, () => {
      if (end.closed || !this.#alive(host)) return
      const accept = this.#listeners.get(addressText(address))
      const state = this.state(host, target)
      if (state === 'silent') return // nobody answers: the caller's timeout ends it
      if (accept === undefined || state === 'cut') {
        end.closed = true
        handler.closed('connection refused')
        return
      }
      const other = new End(this, target, address, local)
      end.peer = other
      other.peer = end
      this.#ends.add(end)
      this.#ends.add(other)
      other.handler = accept(other)
      handler.opened()
    })
    return end
  }

  #listen(
    host: string,
    address: Address,
    accept: (stream: Stream) => StreamHandler,
  ): Promise<Listener> {
    const port = 'path' in address || address.port === 0 ? PORT_FIRST : address.port
    const name = `${host}:${port}`
    if (this.#listeners.has(name)) return Promise.reject(new Error(`${name} is taken`))
    this.#listeners.set(name, accept)
    return Promise.resolve({
      address: { host, port },
      close: () => {
        this.#listeners.delete(name)
        return Promise.resolve()
      },
    })
  }
}

function linkName(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`
}

/** Gives bytes to a handler, where it wants to have them. */
function receive(handler: StreamHandler, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const target = handler.target()
    if (target === undefined) {
      handler.received(bytes.subarray(at), bytes.length - at)
      return
    }
    const count = Math.min(target.length, bytes.length - at)
    bytes.copy(target, 0, at, at + count)
    handler.received(target, count)
    at += count
  }
}
