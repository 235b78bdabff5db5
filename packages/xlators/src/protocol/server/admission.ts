/**
 * Admission: SETVOLUME, by which a connection becomes a client of a brick. The checks come in
 * GlusterFS's order, because clients tell from the first failure whether to try again
 * (xlators/protocol/server/src/server-handshake.c).
 */

import {
  Dict,
  Errno,
  type Failure,
  type Gfid,
  gfidText,
  parseGfid,
  ROOT_CTX,
  ROOT_GFID,
  type Subvolume,
} from '@ashlar/core'
import { fopProgram } from '@ashlar/wire'
import { type AuthSettings, refusal } from './authentication.ts'
import type { Brick } from './brick.ts'
import { EntryLoc, InodeLoc } from './brick-loc.ts'
import { Session } from './session.ts'
import type { ServerConnection } from '@ashlar/transport'

/** Components of a subdirectory mount's path. */
const SUBDIRECTORY_DEPTH_MAX = 256

export interface AdmissionSettings extends AuthSettings {
  readonly bricks: ReadonlyMap<string, Brick>
  readonly volumeId: string | undefined
  /** False while the brick's own stack is down. */
  readonly childUp: (brick: Subvolume) => boolean
}

export interface Refused {
  readonly errno: Errno
  readonly reason: string
}

export interface Admitted {
  readonly session: Session
  readonly brick: Brick
}

/** Admits the client that sent `asked`, or says why not. */
export async function admit(
  connection: ServerConnection,
  asked: Dict,
  settings: AdmissionSettings,
): Promise<Admitted | Refused> {
  const name = asked.getString('remote-subvolume')
  if (name === undefined) return refuse(Errno.EINVAL, 'No remote-subvolume option specified')
  const brick = settings.bricks.get(name)
  if (brick === undefined) {
    return refuse(Errno.ENOENT, `remote-subvolume "${name}" is not found`)
  }
  if (!settings.childUp(brick.child)) return refuse(Errno.EAGAIN, 'xlator graph is not ready')
  const client = asked.getString('process-uuid')
  if (client === undefined || client === '') return refuse(Errno.EINVAL, 'UUID not specified')
  const volumeId = asked.getString('volume-id')
  if (
    volumeId !== undefined &&
    settings.volumeId !== undefined &&
    parseGfid(volumeId) !== parseGfid(settings.volumeId)
  ) {
    return refuse(Errno.EINVAL, 'Volume-ID different, possible case of same brick re-used')
  }
  const fops = asked.getNumber('fops-version')
  if (fops !== undefined && fops !== fopProgram.number) {
    return refuse(Errno.EINVAL, `version mismatch: client(${fops}) - server(${fopProgram.number})`)
  }
  const subdirectory = asked.getString('subdir-mount') ?? ''
  const username = asked.getString('username')
  const password = asked.getString('password')
  const applicant = { address: connection.remote, username, password, subdirectory }
  const why = refusal(name, applicant, settings)
  if (why !== undefined) return refuse(Errno.EACCES, why)
  const root = await rootOf(brick, subdirectory)
  if (typeof root !== 'string') {
    return refuse(root.errno, rootComplaint(subdirectory, root.errno))
  }
  const session = new Session({
    connection,
    client,
    applicant,
    rootGfid: root === ROOT_GFID ? undefined : root,
    processName: asked.getString('process-name') ?? '',
    version: asked.getString('client-version') ?? '',
    opVersion: asked.getNumber('opversion') ?? 0,
    trusted: username !== undefined && settings.texts.has(`auth.login.${username}.password`),
  })
  return { session, brick }
}

function refuse(errno: Errno, reason: string): Refused {
  return { errno, reason }
}

function rootComplaint(subdirectory: string, errno: Errno): string {
  if (subdirectory === '') return 'the root of the brick cannot be looked up'
  return errno === Errno.ENOTDIR
    ? `subdirectory for mount "${subdirectory}" is not a directory`
    : `subdirectory for mount "${subdirectory}" is not found`
}

/** The gfid of the session's root. Also the proof that the brick answers. */
async function rootOf(brick: Brick, subdirectory: string): Promise<Gfid | Failure> {
  const rootLoc = new InodeLoc(brick.inodes, ROOT_GFID)
  const root = await brick.child.lookup(ROOT_CTX, { loc: rootLoc })
  rootLoc.release()
  if (!root.ok) return root
  const names = subdirectory.split('/').filter(name => name !== '' && name !== '.')
  if (names.length > SUBDIRECTORY_DEPTH_MAX || names.includes('..')) {
    return { ok: false, errno: Errno.ENOENT }
  }
  let at: Gfid = ROOT_GFID
  for (const name of names) {
    const loc = new EntryLoc(brick.inodes, at, name)
    const reply = await brick.child.lookup(ROOT_CTX, { loc })
    if (reply.ok) loc.learn(reply.stat.gfid, reply.stat.type)
    loc.release()
    if (!reply.ok) return { ok: false, errno: Errno.ENOENT }
    if (!reply.stat.isDirectory) return { ok: false, errno: Errno.ENOTDIR }
    at = reply.stat.gfid
  }
  return at
}

/** The reply's dict of a successful SETVOLUME. */
export function welcome(processUuid: string, volumeId: string | undefined): Dict {
  const dict = new Dict()
    .setString('ERROR', 'Success')
    .setString('process-uuid', processUuid)
    .setUint('clnt-lk-version', 0)
    .setInt('child_up', 1)
  const id = volumeId === undefined ? undefined : parseGfid(volumeId)
  if (id !== undefined) dict.setString('volume-id', gfidText(id))
  return dict
}
