/** Statfs of a brick: its share of the file system, without the reserve. */

import { type Ctx, failure, type FopArgs, type Reply } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import type { Brick } from './brick.ts'
import { reservedBytes } from './caretaker.ts'

export function statfs(brick: Brick, _ctx: Ctx, _args: FopArgs['statfs']): Reply<'statfs'> {
  const whole = sys.fstatvfs(brick.handles.rootFd)
  if (typeof whole === 'number') return failure(-whole)
  const { options } = brick.self
  if (!options['export-statfs-size'])
    return { ok: true, statfs: { ...whole, blocks: 0, bfree: 0, bavail: 0 } }
  const share = Math.max(1, options['shared-brick-count'])
  const reserved = Math.floor(reservedBytes(brick, whole) / whole.frsize)
  return {
    ok: true,
    statfs: {
      ...whole,
      blocks: Math.floor(whole.blocks / share),
      bfree: Math.floor(Math.max(0, whole.bfree - reserved) / share),
      bavail: Math.floor(Math.max(0, whole.bavail - reserved) / share),
      files: Math.floor(whole.files / share),
      ffree: Math.floor(whole.ffree / share),
      favail: Math.floor(whole.favail / share),
    },
  }
}
