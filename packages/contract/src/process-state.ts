/**
 * What a brick or daemon tells of itself: memory, inodes, open files, calls. Sizes and counts are whole;
 * the lists beside them are cut off at a limit of the process.
 */

import { z } from 'zod'

/** mallinfo2(3): bytes and blocks of the C library's allocator, below Node. */
export const allocatorView = z.object({
  arena: z.number(),
  ordblks: z.number(),
  smblks: z.number(),
  hblks: z.number(),
  hblkhd: z.number(),
  usmblks: z.number(),
  fsmblks: z.number(),
  uordblks: z.number(),
  fordblks: z.number(),
  keepcost: z.number(),
})
export type AllocatorView = z.infer<typeof allocatorView>

/** Memory of a process. */
export const memoryView = z.object({
  /** Null where the C library does not tell (musl, glibc before 2.33). */
  mallinfo: allocatorView.nullable(),
  /** `process.memoryUsage()`, in bytes. Null of a brick that is not one of ours. */
  node: z
    .object({
      rss: z.number(),
      heapTotal: z.number(),
      heapUsed: z.number(),
      external: z.number(),
      arrayBuffers: z.number(),
    })
    .nullable(),
})
export type MemoryView = z.infer<typeof memoryView>

/** A file or directory that a process knows. */
export const inodeView = z.object({
  gfid: z.string(),
  /** How often somebody was told of it who has not forgotten it. */
  lookups: z.number().int(),
  /** Calls in progress, open files, names below it. */
  references: z.number().int(),
  /** GlusterFS's ia_type: 0 not known, 1 file, 2 directory, 3 symlink, 4 block, 5 character, 6 fifo, 7 socket. */
  type: z.number().int().min(0).max(7),
})
export type InodeView = z.infer<typeof inodeView>

const inodeListView = z.object({ size: z.number().int(), listed: z.array(inodeView) })

/** The inode table of a process: one, whoever is connected. */
export const inodeTableView = z.object({
  lruLimit: z.number().int(),
  /** In use. */
  active: inodeListView,
  /** Not in use, and kept. */
  lru: inodeListView,
  /** About to go. */
  purge: inodeListView,
})
export type InodeTableView = z.infer<typeof inodeTableView>

export const inodesView = z.object({
  /** Connected clients. */
  connections: z.number().int(),
  /** Null until there is a graph. */
  table: inodeTableView.nullable(),
})
export type InodesView = z.infer<typeof inodesView>

/** A file that a client has open. */
export const fdView = z.object({
  number: z.number().int(),
  /** The process that has opened it, on the client. */
  pid: z.number().int(),
  references: z.number().int(),
  /** As open(2) has them. */
  flags: z.number().int(),
})
export type FdView = z.infer<typeof fdView>

/** The open files of a client. */
export const fdTableView = z.object({
  /** `HOST:PORT`. */
  client: z.string(),
  /** What the client calls itself. */
  name: z.string(),
  references: z.number().int(),
  /** Files that it can have open. */
  max: z.number().int(),
  /** The number that the next one gets. */
  firstFree: z.number().int(),
  open: z.number().int(),
  listed: z.array(fdView),
})
export type FdTableView = z.infer<typeof fdTableView>

/** A call that was taken and is not answered. */
export const callView = z.object({
  /** `HOST:PORT`. Null where that is not told. */
  client: z.string().nullable(),
  /** Who calls, on the client. */
  uid: z.number().int(),
  gid: z.number().int(),
  pid: z.number().int(),
  /** Number of the call on its connection. */
  unique: z.number().int(),
  /** The translator that has taken it. Null where that is not told: of a brick that is not ours. */
  translator: z.string().nullable(),
  /** `SUBVOLUME->FOP`: where that passed it on to. */
  call: z.string().nullable(),
})
export type CallView = z.infer<typeof callView>

export const callsView = z.object({ count: z.number().int(), listed: z.array(callView) })
export type CallsView = z.infer<typeof callsView>
