/**
 * Network: byte streams as the house sees them. The real one is in `transport` (TCP and unix
 * sockets); tests put a simulated one in its place.
 *
 * A stream tells its handler what happens by direct calls, without events or promises, because it
 * is on the path of every message.
 */

export interface TcpAddress {
  readonly host: string
  readonly port: number
}

export interface UnixAddress {
  readonly path: string
}

export type Address = TcpAddress | UnixAddress

/** `host:port`, or the path of a unix socket. */
export function addressText(address: Address): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`
}

export interface StreamHandler {
  /** The connection is made (only on the side that connects). */
  opened(): void
  /** Where the next bytes shall be put, so that a large record needs no copy; undefined: anywhere. */
  target(): Buffer | undefined
  /**
   * The first `length` bytes of `buffer` have arrived. Unless `buffer` is what `target` gave, they
   * must not be used after the call returns.
   */
  received(buffer: Buffer, length: number): void
  /** All that was written has been handed to the system. */
  drained(): void
  /** The end: called once, whatever the reason, also when connecting fails or `close` was called. */
  closed(reason: string): void
}

/** When a peer that is silent counts as gone, in seconds, as tcp(7) has it. */
export interface Patience {
  /** Silence after what was sent to it; 0: as long as the system tries (about 15 minutes). */
  readonly unacknowledged: number
  /** Silence when there is nothing to send, before it is probed. */
  readonly idle: number
  /** Between two probes. */
  readonly interval: number
  /** So many probes without an answer end the connection. */
  readonly probes: number
}

/** GlusterFS's (rpc/rpc-transport/socket/src/socket.c, xlators/protocol/server/src/server.c). */
export const DEFAULT_PATIENCE: Patience = { unacknowledged: 42, idle: 20, interval: 2, probes: 9 }

export interface Stream {
  /** The peer: a TCP address, or the path of the unix socket that was connected to. */
  readonly remote: Address
  readonly local: Address
  /** Bytes written and not yet handed to the system. */
  readonly queued: number
  /** Sends the chunks in order. They must not be changed until they are sent. */
  write(chunks: readonly Buffer[]): void
  /** Stops delivery; the sender feels it when its window is full. */
  pause(): void
  resume(): void
  /** Ends the connection at once: what is still queued may be lost. */
  close(): void
  /** Absent where peers do not vanish: in one process, on one machine. */
  setPatience?(patience: Patience): void
}

export interface Listener {
  /** With the port that the system chose when 0 was asked for. */
  readonly address: Address
  close(): Promise<void>
}

export interface ConnectOptions {
  /** Local port to bind to; any when absent. */
  readonly localPort?: number
}

export interface Network {
  /** Starts to connect. The handler hears `opened` or `closed`. */
  connect(address: Address, handler: StreamHandler, options?: ConnectOptions): Stream
  /** Rejects with a Node-style error when the address cannot be had. */
  listen(address: Address, accept: (stream: Stream) => StreamHandler): Promise<Listener>
}

/** A network that reaches nobody: for graphs and tests that need none. */
export const offlineNetwork: Network = {
  connect(address, handler) {
    queueMicrotask(() => handler.closed('there is no network'))
    return {
      remote: address,
      local: address,
      queued: 0,
      write: () => {},
      pause: () => {},
      resume: () => {},
      close: () => {},
    }
  },
  listen: address => Promise.reject(new Error(`no network to listen on ${addressText(address)}`)),
}
