/**
 * What runs: the processes of a volume and the servers of the pool.
 */

import { z } from 'zod'
import { callsView, fdTableView, inodesView, memoryView } from './process-state.ts'

/** The file system below a brick. */
export const brickFilesystem = z.object({
  type: z.string(),
  device: z.string(),
  mountOptions: z.string(),
  inodeSize: z.string(),
  blockSize: z.number(),
  bytesTotal: z.number(),
  bytesFree: z.number(),
  inodesTotal: z.number(),
  inodesFree: z.number(),
})
export type BrickFilesystem = z.infer<typeof brickFilesystem>

/** A client connected to a brick. */
export const brickClient = z.object({
  hostname: z.string(),
  bytesRead: z.number(),
  bytesWritten: z.number(),
  opVersion: z.number(),
  name: z.string(),
})
export type BrickClient = z.infer<typeof brickClient>

/** One brick's process. */
export const brickStatus = z.object({
  host: z.string(),
  path: z.string(),
  peer: z.string(),
  online: z.boolean(),
  /** Null when it is not running. */
  port: z.number().int().nullable(),
  pid: z.number().int().nullable(),
  filesystem: brickFilesystem.optional(),
  // What was asked for, of a brick that is online and answers.
  clients: z.array(brickClient).optional(),
  memory: memoryView.optional(),
  inodes: inodesView.optional(),
  fds: z.array(fdTableView).optional(),
  calls: callsView.optional(),
})
export type BrickStatusView = z.infer<typeof brickStatus>

/** A process of a server that looks after its volumes. */
export const daemonStatus = z.object({
  kind: z.literal('selfHeal'),
  /** `localhost`, or the name of the other server. */
  host: z.string(),
  peer: z.string(),
  online: z.boolean(),
  pid: z.number().int().nullable(),
  // What was asked for of this kind of daemon alone.
  memory: memoryView.optional(),
  inodes: inodesView.optional(),
  calls: callsView.optional(),
})
export type DaemonStatusView = z.infer<typeof daemonStatus>

/** Processes of a started volume. */
export const volumeProcesses = z.object({
  volume: z.string(),
  bricks: z.array(brickStatus),
  daemons: z.array(daemonStatus),
})
export type VolumeProcesses = z.infer<typeof volumeProcesses>

/** What `status` can look at besides the processes; a daemon has memory, inodes and calls. */
export const statusDetail = z.enum(['filesystem', 'clients', 'memory', 'inodes', 'fds', 'calls'])
export type StatusDetail = z.infer<typeof statusDetail>

/** What `status` shall look at. */
export const statusQuery = z.object({
  detail: statusDetail.optional(),
  /** `HOST:/PATH`: this brick only. */
  brick: z.string().optional(),
  /** This kind of daemon only. */
  daemon: z.literal('selfHeal').optional(),
})

/** This server. */
export const serverView = z.object({
  uuid: z.string(),
  hostname: z.string(),
  version: z.string(),
  opVersion: z.number().int(),
  maxOpVersion: z.number().int(),
  workDirectory: z.string(),
  logDirectory: z.string(),
  runDirectory: z.string(),
})
export type ServerView = z.infer<typeof serverView>

/** Another server of the pool. */
export const peerView = z.object({
  uuid: z.string(),
  hostnames: z.array(z.string()),
  state: z.number().int(),
  connected: z.boolean(),
})
export type PeerView = z.infer<typeof peerView>

export const volfileAnswer = z.object({ id: z.string(), text: z.string() })
