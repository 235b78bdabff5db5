/**
 * The real network: TCP and unix sockets of node:net.
 *
 * Reads go into memory of our own choosing (`onread`): the record that waits for its rest, or one
 * scratch buffer that all sockets share, because whoever receives from it is done with it when the
 * call returns. So small messages cost no allocation and large ones no copy.
 */

import {
  createServer,
  type OnReadOpts,
  type Server,
  Socket,
  type SocketConstructorOpts,
} from 'node:net'
import {
  type Address,
  type ConnectOptions,
  DEFAULT_PATIENCE,
  type Listener,
  type Network,
  type Patience,
  type Stream,
  type StreamHandler,
} from '@ashlar/core'

/** More than a socket's receive buffer usually holds, so that one read empties it. */
const SCRATCH_BYTES = 1024 * 1024
/** As GlusterFS sets it (rpc/rpc-transport/socket/src/socket.c). */
const KEEPALIVE_IDLE_MS = 20_000
const LISTEN_BACKLOG = 1024

/** What Node's documentation leaves out and its types too: the handle behind a socket. */
interface HandleOwner {
  _handle: { readonly fd?: number } | null
}

/** Has the system give silent peers of a socket up: see `Patience`. Node can set the first probe only. */
export type SetPatience = (descriptor: number, patience: Patience) => void

class SocketStream implements Stream {
  readonly remote: Address
  readonly local: Address
  readonly #socket: Socket
  readonly #handler: StreamHandler
  readonly #setPatience: SetPatience | undefined
  #reason = 'closed'

  constructor(
    socket: Socket,
    handler: StreamHandler,
    ends: { readonly remote: Address; readonly local: Address },
    setPatience: SetPatience | undefined,
  ) {
    const { remote, local } = ends
    this.#socket = socket
    this.#setPatience = 'path' in remote ? undefined : setPatience
    this.#handler = handler
    this.remote = remote
    this.local = local
    socket.on('error', error => {
      this.#reason = error.message
    })
    socket.on('end', () => {
      this.#reason = 'the peer closed the connection'
      socket.destroy()
    })
    socket.on('close', () => handler.closed(this.#reason))
  }

  get queued(): number {
    return this.#socket.writableLength
  }

  write(chunks: readonly Buffer[]): void {
    const socket = this.#socket
    const last = chunks.length - 1
    if (last < 0 || socket.destroyed) return
    if (last > 0) {
      socket.cork()
      for (let i = 0; i < last; i++) socket.write(chunks[i] as Buffer)
    }
    socket.write(chunks[last] as Buffer, this.#onWritten)
    if (last > 0) socket.uncork()
  }

  readonly #onWritten = (error?: Error | null): void => {
    // Where it failed the system may still hold what was written.
    if (error instanceof Error) return
    if (this.#socket.writableLength === 0 && !this.#socket.destroyed) this.#handler.drained()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  setPatience(patience: Patience): void {
    const descriptor = (this.#socket as unknown as HandleOwner)._handle?.fd ?? -1
    if (descriptor >= 0) this.#setPatience?.(descriptor, patience)
  }
}

function addressOf(host: string | undefined, port: number | undefined, path: string): Address {
  return host === undefined || port === undefined ? { path } : { host: plainHost(host), port }
}

/** An IPv4 peer of an IPv6 socket is shown by its IPv4 address. */
function plainHost(host: string): string {
  return host.startsWith('::ffff:') ? host.slice('::ffff:'.length) : host
}

/**
 * Both families; each call makes a network of its own with its own scratch memory. Without
 * `setPatience` peers of accepted connections that vanish are missed only when the system misses them.
 */
export function tcpNetwork(setPatience?: SetPatience): Network {
  const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

  function reading(handlerOf: () => StreamHandler | undefined): OnReadOpts {
    return {
      // Asked again after every read.
      buffer: (() => handlerOf()?.target() ?? scratch) as unknown as OnReadOpts['buffer'],
      callback(length, buffer) {
        handlerOf()?.received(buffer as Buffer, length)
        return true
      },
    }
  }

  function connect(address: Address, handler: StreamHandler, options?: ConnectOptions): Stream {
    const socket = new Socket({ onread: reading(() => handler) } as SocketConstructorOpts)
    const stream = new SocketStream(
      socket,
      handler,
      { remote: address, local: { path: '' } },
      setPatience,
    )
    socket.on('connect', () => handler.opened())
    if ('path' in address) {
      socket.connect({ path: address.path })
    } else {
      socket.connect({
        host: address.host,
        port: address.port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEPALIVE_IDLE_MS,
        ...(options?.localPort === undefined ? {} : { localPort: options.localPort }),
      })
    }
    return stream
  }

  function listen(address: Address, accept: (stream: Stream) => StreamHandler): Promise<Listener> {
    const path = 'path' in address ? address.path : ''
    const server = createServer(
      {
        pauseOnConnect: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEPALIVE_IDLE_MS,
      },
      incoming => adopt(incoming),
    )
    const open = new Set<Socket>()

    /** A server's sockets cannot be given `onread`: ours takes over the handle of the one it made. */
    function adopt(incoming: Socket): void {
      const remote = addressOf(incoming.remoteAddress, incoming.remotePort, path)
      const local = addressOf(incoming.localAddress, incoming.localPort, path)
      let handler: StreamHandler | undefined
      const { _handle: handle } = incoming as unknown as HandleOwner
      const socket = new Socket({
        handle,
        onread: reading(() => handler),
        manualStart: true,
      } as SocketConstructorOpts)
      open.add(socket)
      const relay: StreamHandler = {
        opened: () => {},
        target: () => handler?.target(),
        received: (buffer, length) => handler?.received(buffer, length),
        drained: () => handler?.drained(),
        closed(reason) {
          open.delete(socket)
          // Lets the server count it as gone.
          ;(incoming as unknown as HandleOwner)._handle = null
          incoming.destroy()
          handler?.closed(reason)
        },
      }
      const stream = new SocketStream(socket, relay, { remote, local }, setPatience)
      stream.setPatience(DEFAULT_PATIENCE)
      handler = accept(stream)
      if (!socket.destroyed && !socket.isPaused()) socket.resume()
    }

    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(
        'path' in address
          ? { path: address.path, backlog: LISTEN_BACKLOG }
          : { host: address.host, port: address.port, backlog: LISTEN_BACKLOG },
        () => {
          server.off('error', reject)
          server.on('error', () => {})
          resolve({
            address: boundAddress(server, address),
            close: () => closeServer(server, open),
          })
        },
      )
    })
  }

  return { connect, listen }
}

function boundAddress(server: Server, asked: Address): Address {
  const bound = server.address()
  if (bound === null || typeof bound === 'string' || 'path' in asked) return asked
  return { host: asked.host, port: bound.port }
}

function closeServer(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    for (const socket of open) socket.destroy()
  })
}
