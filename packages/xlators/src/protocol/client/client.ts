/**
 * The client translator: one brick of a volume, reached over the network.
 */

import {
  Dict,
  type Fd,
  IPC_NAMES_RETURNED,
  NAMES_LEASE,
  NULL_GFID,
  OptionError,
  ROOT_CTX,
  type Xlator,
  type XlatorSelf,
} from '@ashlar/core'
import { callbackProgram, fopProgram, type Reader } from '@ashlar/wire'
import { eventOf } from './callbacks.ts'
import { credentialOf } from './caller.ts'
import { compoundFop } from './compound.ts'
import { Cookies } from './cookies.ts'
import { entryFops } from './entry-fops.ts'
import { fdFops } from './fd-fops.ts'
import { inodeFops } from './inode-fops.ts'
import { Link } from './link.ts'
import { lockFops } from './lock-fops.ts'
import type { ClientOptions } from './options.ts'
import { Peer } from './peer.ts'
import { recover } from './recovery.ts'

const P = fopProgram.procedures

/** Throws OptionError when the volfile does not say where the brick is. */
export function makeClient(self: XlatorSelf<ClientOptions>): Xlator {
  const { options } = self
  if (options['remote-subvolume'] === undefined) {
    throw new OptionError(`${self.name} has no option remote-subvolume`)
  }
  if (
    options['remote-host'] === undefined &&
    options['transport.socket.connect-path'] === undefined
  ) {
    throw new OptionError(`${self.name} has no option remote-host`)
  }

  const peer: Peer = new Peer(self, {
    admitted: () => recover(link),
    lost: () => link.fds.lose(),
    up: () => self.notify({ kind: 'child-up', compounds: peer.compounds }),
    down: () => self.notify({ kind: 'child-down' }),
    refused: reason => self.notify({ kind: 'auth-failed', reason }),
    callback: (program, procedure, reader) => callback(program, procedure, reader),
  })
  const position = self.graph.leaves.indexOf(self.name)
  const cookies = new Cookies(self.graph.leaves.length, Math.max(position, 0))
  const link = new Link(self, peer, cookies)

  function callback(program: number, procedure: number, reader: Reader): void {
    if (program !== callbackProgram.number) return
    const event = eventOf(procedure, reader)
    if (event === undefined) return
    if (event.kind === 'child-up') peer.raise()
    else if (event.kind === 'child-down') peer.sink()
    else self.notify(event)
    if (event.kind === 'names-recall') returnNames(event.lease)
  }

  /** All above have been told: nobody answers from what is known under the lease. */
  function returnNames(lease: string): void {
    const xdata = new Dict().setString(NAMES_LEASE, lease)
    fops.ipc(ROOT_CTX, { op: IPC_NAMES_RETURNED, xdata }).catch((bug: unknown) => {
      self.env.log.error('returning a lease failed by a mistake', { error: String(bug) })
    })
  }

  const fops = { ...entryFops(link), ...inodeFops(link), ...fdFops(link), ...lockFops(link) }
  return {
    ...fops,
    ...compoundFop(link, fops),

    start(): void {
      peer.rpc.start()
    },

    stop(): void {
      peer.rpc.stop()
    },

    reconfigure(): void {
      peer.reconfigure()
    },

    release(fd: Fd): void {
      const remote = link.fds.remove(fd)
      if (remote?.open !== true) return
      const { gfid, number } = remote
      const row = remote.directory ? P.RELEASEDIR : P.RELEASE
      const args = { gfid: gfid === NULL_GFID ? fd.inode.gfid : gfid, fd: number, xdata: undefined }
      peer.rpc.cast(fopProgram, row, args, credentialOf(ROOT_CTX, true), true)
    },

    dump: () => ({
      address: peer.rpc.address,
      ready: peer.ready,
      outstanding: peer.rpc.outstanding,
      fds: link.fds.size,
      pingTimeout: options['ping-timeout'],
    }),
  }
}
