/**
 * From a fop's reply to the structure of its row: the shapes that many rows share.
 */

import {
  type ChangeReply,
  type Dict,
  type DictReply,
  type EntryReply,
  Errno,
  type Failure,
  type Iatt,
  type ParentReply,
  type StatReply,
  valueBytes,
} from '@ashlar/core'
import type { AnyProcedure } from '@ashlar/wire'
import type { Session } from './session.ts'

interface Head {
  ret: number
  errno: number
  xdata: Dict | undefined
}

type Done<R> = (Head & R) | Failure

export function common(reply: { ok: true; xdata?: Dict | undefined } | Failure): Done<object> {
  if (!reply.ok) return reply
  return { ret: 0, errno: 0, xdata: reply.xdata }
}

export function stat(session: Session, reply: StatReply | Failure): Done<{ stat: Iatt }> {
  if (!reply.ok) return reply
  return { ret: 0, errno: 0, xdata: reply.xdata, stat: session.outward(reply.stat) }
}

type TwoIatts = { prestat: Iatt; poststat: Iatt }

export function change(session: Session, reply: ChangeReply | Failure, ret = 0): Done<TwoIatts> {
  if (!reply.ok) return reply
  return {
    ret,
    errno: 0,
    xdata: reply.xdata,
    prestat: session.outward(reply.prestat),
    poststat: session.outward(reply.poststat),
  }
}

/** UNLINK and RMDIR: the parent before and after. */
export function parents(session: Session, reply: ParentReply | Failure): Done<TwoIatts> {
  if (!reply.ok) return reply
  return {
    ret: 0,
    errno: 0,
    xdata: reply.xdata,
    prestat: session.outward(reply.preparent),
    poststat: session.outward(reply.postparent),
  }
}

type ThreeIatts = { stat: Iatt; preparent: Iatt; postparent: Iatt }

export function entry(session: Session, reply: EntryReply | Failure): Done<ThreeIatts> {
  if (!reply.ok) return reply
  return {
    ret: 0,
    errno: 0,
    xdata: reply.xdata,
    stat: session.outward(reply.stat),
    preparent: session.outward(reply.preparent),
    postparent: session.outward(reply.postparent),
  }
}

/** `size`: op_ret is the size of the values, as getxattr has it. */
export function dict(
  reply: DictReply | Failure,
  zero: Iatt,
  size: boolean,
): Done<TwoIatts & { dict: Dict }> {
  if (!reply.ok) return reply
  return {
    ret: size ? valuesSize(reply.dict) : 0,
    errno: 0,
    xdata: reply.xdata,
    dict: reply.dict,
    prestat: zero,
    poststat: zero,
  }
}

function valuesSize(values: Dict): number {
  let size = 0
  for (const [, value] of values) size += valueBytes(value)?.length ?? 0
  return size
}

/** The row's structure for a result; of a failure: complete, with zeros behind errno and xdata. */
export function structureOf(row: AnyProcedure, result: object): object {
  if (!isFailure(result)) return result
  return { ...(row.reply.zero as object), ret: -1, errno: result.errno, xdata: result.xdata }
}

export function isFailure(result: object): result is Failure {
  return (result as Failure).ok === false
}

/** ENOENT beside a success says that nothing follows (`posix_readdir`, posix-inode-fd-ops.c). */
export function endErrno(eof: boolean): number {
  return eof ? Errno.ENOENT : 0
}
