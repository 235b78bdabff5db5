/**
 * The TCP face of glusterd: Handshake and Portmap, which clients and bricks use, and the news that
 * a volfile has changed (xlators/mgmt/glusterd/src/glusterd-handshake.c, glusterd-pmap.c).
 */

import { type Address, Dict, type Env, Errno } from '@ashlar/core'
import { type IncomingCall, RpcServer, type ServerConnection } from '@ashlar/transport'
import { AcceptStatus, callbackProgram, handshakeProgram, portmapProgram } from '@ashlar/wire'
import type { Portmap } from '../bricks/portmap.ts'
import type { PoolStore } from '../store/pool-store.ts'
import { isLocalAddress } from '../volume/host.ts'
import { withBrickPorts } from './relocated.ts'
import { findVolfile, VOLFILE_ID_BYTES_MAX } from './volfile-id.ts'

const { GETSPEC, EVENT_NOTIFY, GET_VOLUME_INFO, GET_SNAPSHOT_INFO, PING, SET_LK_VER } =
  handshakeProgram.procedures
const { PORTBYBRICK, BRICKBYPORT, SIGNIN, SIGNOUT } = portmapProgram.procedures

export interface ManagementServerParts {
  readonly env: Env
  readonly store: PoolStore
  readonly portmap: Portmap
  /** glusterd is not at GlusterFS's port: clients cannot ask it for the ports of bricks. */
  readonly relocated: boolean
}

/** What clients and bricks ask glusterd is some kilobytes. */
const RECORD_BYTES_MAX = 1024 * 1024

type GetspecArgs = { key: string; xdata: Dict | undefined }

export class ManagementServer {
  readonly #parts: ManagementServerParts
  readonly #server: RpcServer
  #holders = 0
  #newsWait = false

  constructor(parts: ManagementServerParts) {
    this.#parts = parts
    this.#server = new RpcServer({
      env: parts.env,
      programs: [
        { program: handshakeProgram, handle: call => this.#handshake(call) },
        { program: portmapProgram, handle: call => this.#portmap(call) },
      ],
      disconnected: connection => parts.portmap.drop(connection),
      recordBytesMax: RECORD_BYTES_MAX,
    })
  }

  /** Rejects with a Node-style error when the address is taken. */
  listen(address: Address): Promise<Address> {
    return this.#server.listen(address)
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  /** Nobody is told of changed volfiles until what it returns is called; then all are. */
  holdNews(): () => void {
    this.#holders += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holders -= 1
      if (this.#holders === 0 && this.#newsWait) this.volfilesChanged()
    }
  }

  /** Tells every client and brick to fetch its volfile again. */
  volfilesChanged(): void {
    this.#newsWait = this.#holders > 0
    if (this.#newsWait) return
    for (const connection of this.#server.connections) {
      connection.callback(callbackProgram.procedures.FETCHSPEC, undefined)
    }
  }

  #handshake(call: IncomingCall): void {
    switch (call.row) {
      case GETSPEC:
        return this.#getspec(call as IncomingCall<GetspecArgs>)
      case EVENT_NOTIFY:
        // Progress of a rebalance, which this release does not run.
        return call.reply({ ret: 0, errno: 0, dict: undefined })
      case GET_VOLUME_INFO:
        return this.#volumeInfo(call as IncomingCall<{ dict: Dict | undefined }>)
      case GET_SNAPSHOT_INFO:
        return call.reply({
          ret: 0,
          errno: 0,
          errstr: '',
          dict: new Dict().setInt('snap-count', 0),
        })
      case PING:
        return call.reply({ ret: 0, errno: 0, xdata: Buffer.alloc(0) })
      case SET_LK_VER: {
        const { version } = call.args as { version: number }
        return call.reply({ ret: 0, errno: 0, version })
      }
      default:
        return call.refuse(AcceptStatus.PROC_UNAVAIL)
    }
  }

  #getspec(call: IncomingCall<GetspecArgs>): void {
    const { key, xdata } = call.args
    const refuse = (errno: number): void =>
      call.reply({ ret: -1, errno, spec: '', xdata: undefined })
    if (key.length > VOLFILE_ID_BYTES_MAX) return refuse(Errno.EINVAL)
    const spec = findVolfile(this.#parts.store, key, isTrusted(call.connection))
    if (spec === undefined) {
      this.#parts.env.log.warning('no volfile for this id', { id: key })
      return refuse(Errno.ENOENT)
    }
    // A process that does not say what it can do is of GlusterFS 3.3.
    const oldest = xdata === undefined ? 1 : xdata.getNumber('min-op-version')
    const newest = xdata === undefined ? 1 : xdata.getNumber('max-op-version')
    if (oldest === undefined || newest === undefined) return refuse(Errno.EINVAL)
    const needed = spec.volume.clientOpVersion
    if (!spec.internal && (oldest > needed || newest < needed)) return refuse(Errno.EOPNOTSUPP)
    const text =
      this.#parts.relocated && !spec.brick
        ? withBrickPorts(spec.text, spec.volume, this.#parts.portmap)
        : spec.text
    call.reply({ ret: Buffer.byteLength(text), errno: 0, spec: text, xdata: undefined })
  }

  #volumeInfo(call: IncomingCall<{ dict: Dict | undefined }>): void {
    const name = call.args.dict?.getString('volname') ?? ''
    const volume = this.#parts.store.volume(name.replace(/^\/+/, ''))
    if (volume === undefined) {
      return call.reply({
        ret: -1,
        errno: Errno.EINVAL,
        errstr: `Volume ${name} does not exist`,
        dict: undefined,
      })
    }
    const dict = new Dict().setString('volume_id', volume.id)
    call.reply({ ret: 0, errno: 0, errstr: '', dict })
  }

  #portmap(call: IncomingCall): void {
    const { portmap } = this.#parts
    switch (call.row) {
      case PORTBYBRICK: {
        const { brick } = call.args as { brick: string }
        const port = portmap.port(brick)
        return call.reply({
          ret: port === undefined ? -1 : 0,
          errno: 0,
          status: port === undefined ? -1 : 0,
          port: port ?? 0,
        })
      }
      case BRICKBYPORT: {
        const brick = portmap.brickAt((call.args as { port: number }).port)
        const ret = brick === undefined ? -1 : 0
        return call.reply({ ret, errno: 0, status: ret, brick: brick ?? '' })
      }
      case SIGNIN: {
        const { brick, port, pid } = call.args as { brick: string; port: number; pid: number }
        if (!isTrusted(call.connection)) return call.reply({ ret: -1, errno: Errno.EPERM })
        this.#parts.env.log.info('brick signed in', { brick, port, pid })
        const moved = portmap.port(brick) !== port
        portmap.signIn(brick, port, pid, call.connection)
        if (moved && this.#parts.relocated) this.volfilesChanged()
        return call.reply({ ret: 0, errno: 0 })
      }
      case SIGNOUT: {
        const { brick } = call.args as { brick: string }
        if (isTrusted(call.connection)) portmap.signOut(brick)
        return call.reply({ ret: 0, errno: 0 })
      }
      default:
        return call.refuse(AcceptStatus.PROC_UNAVAIL)
    }
  }
}

/** Whoever is on this server gets the volume's credentials and may speak for bricks. */
function isTrusted(connection: ServerConnection): boolean {
  return 'path' in connection.remote || isLocalAddress(connection.remote.host)
}
