/**
 * The credential that a fop's caller becomes (rpc/rpc-lib/src/auth-glusterfs.c).
 */

import type { Ctx } from '@ashlar/core'
import { AuthFlavor, type Credential } from '@ashlar/wire'

/** Credential version 3. `sendGroups` off: the caller's main group alone. */
export function credentialOf(ctx: Ctx, sendGroups: boolean): Credential {
  const { time, lkOwner, pid } = ctx
  return {
    flavor: AuthFlavor.GLUSTERFS_V3,
    pid,
    uid: ctx.uid,
    gid: ctx.gid,
    groups: sendGroups ? ctx.groups : [ctx.gid],
    lkOwner: lkOwner === '' ? ownerOfPid(pid) : lkOwner,
    flags: time === undefined ? 0 : time.flags,
    sec: time === undefined ? 0 : time.sec,
    nsec: time === undefined ? 0 : time.nsec,
  }
}

/** A request is never without a lock owner: the pid stands in, least significant byte first. */
function ownerOfPid(pid: number): string {
  return String.fromCharCode(pid & 0xff, (pid >> 8) & 0xff, (pid >> 16) & 0xff, (pid >> 24) & 0xff)
}
