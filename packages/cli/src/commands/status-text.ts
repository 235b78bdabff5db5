/**
 * The tables of `volume status` as text.
 */

import type { BrickStatusView, DaemonStatusView, VolumeProcesses } from '@ashlar/contract'

const WIDE = '-'.repeat(78)
/** Between the blocks of processes. */
export const NARROW = '-'.repeat(46)
const FIRST_COLUMN = 43

/** The table of processes, with its last line of one blank. */
export function processLines({ volume, bricks, daemons }: VolumeProcesses): string[] {
  const head = `${'Gluster process'.padEnd(FIRST_COLUMN)} TCP Port  RDMA Port  Online  Pid`
  return [
    `Status of volume: ${volume}`,
    head,
    WIDE,
    ...bricks.flatMap(brick => processRow(`Brick ${brick.host}:${brick.path}`, brick)),
    ...daemons.flatMap(daemon => processRow(`${DAEMON_NAME} on ${daemon.host}`, daemon)),
    ' ',
  ]
}

/** How the self-heal daemon is called in tables and documents. */
export const DAEMON_NAME = 'Self-heal Daemon'

type Process = BrickStatusView | DaemonStatusView

/** A long name fills lines of its own; the last piece carries the columns. */
function processRow(name: string, process: Process): string[] {
  const pieces: string[] = []
  for (let at = 0; at < name.length; at += FIRST_COLUMN) {
    pieces.push(name.slice(at, at + FIRST_COLUMN))
  }
  const last = pieces.pop() ?? ''
  const serves = process.online && 'port' in process
  const port = serves ? String(process.port) : 'N/A'
  const rdma = serves ? '0' : 'N/A'
  const columns =
    port.padEnd(10) + rdma.padEnd(11) + (process.online ? 'Y' : 'N').padEnd(8) + pidText(process)
  return [...pieces, `${last.padEnd(FIRST_COLUMN)} ${columns}`]
}

function pidText({ pid }: Process): string {
  return (pid === null ? 'N/A' : String(pid)).padEnd(5)
}

/** This release runs no tasks. */
export function taskLines(volume: string): string[] {
  return [`Task Status of Volume ${volume}`, WIDE, 'There are no active volume tasks', ' ']
}

/** One block per brick. */
export function detailLines({ volume, bricks }: VolumeProcesses): string[] {
  const row = (name: string, value: string): string => `${name.padEnd(20)} : ${value.padEnd(20)}`
  return [
    `Status of volume: ${volume}`,
    ...bricks.flatMap(brick => {
      const { filesystem } = brick
      const known = (value: string | undefined): string => value ?? 'N/A'
      return [
        WIDE,
        row('Brick', `Brick ${brick.host}:${brick.path}`),
        row('TCP Port', brick.online ? String(brick.port) : 'N/A'),
        row('RDMA Port', brick.online ? '0' : 'N/A'),
        row('Online', brick.online ? 'Y' : 'N'),
        row('Pid', brick.pid === null ? 'N/A' : String(brick.pid)),
        row('File System', known(filesystem?.type)),
        row('Device', known(filesystem?.device)),
        row('Mount Options', known(filesystem?.mountOptions)),
        row('Inode Size', known(filesystem?.inodeSize)),
        row('Disk Space Free', known(filesystem && humanSize(filesystem.bytesFree))),
        row('Total Disk Space', known(filesystem && humanSize(filesystem.bytesTotal))),
        row('Inode Count', known(filesystem && String(filesystem.inodesTotal))),
        row('Free Inodes', known(filesystem && String(filesystem.inodesFree))),
      ]
    }),
    ' ',
  ]
}

/** `9.8GB`, in units of 1024. */
export function humanSize(bytes: number): string {
  const units = ['Bytes', 'KB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return unit === 0 ? `${bytes}Bytes` : `${value.toFixed(1)}${units[unit]}`
}

/** Why a process tells nothing of itself. */
export function notTold(name: string, online: boolean): string {
  return online ? `${name} does not answer` : `${name} is offline`
}

/** The clients of each brick. */
export function clientLines({ volume, bricks }: VolumeProcesses): string[] {
  const row = (...cells: readonly [string, string, string, string]): string =>
    `${cells[0].padEnd(48)} ${cells
      .slice(1)
      .map(cell => cell.padStart(15))
      .join(' ')}`
  return [
    `Client connections for volume ${volume}`,
    NARROW,
    ...bricks.flatMap(brick => {
      const name = `Brick : ${brick.host}:${brick.path}`
      if (brick.clients === undefined) return [name, notTold('Brick', brick.online), NARROW]
      return [
        name,
        `Clients connected : ${brick.clients.length}`,
        row('Hostname', 'BytesRead', 'BytesWritten', 'OpVersion'),
        row('--------', '---------', '------------', '---------'),
        ...brick.clients.map(client =>
          row(
            client.hostname,
            String(client.bytesRead),
            String(client.bytesWritten),
            String(client.opVersion),
          ),
        ),
        NARROW,
      ]
    }),
    '',
  ]
}

/** Number of clients of each kind: those of the brick that has most of it. */
export function clientListLines({ volume, bricks }: VolumeProcesses): string[] {
  const counts = new Map<string, number>()
  for (const { clients } of bricks) {
    const here = new Map<string, number>()
    for (const { name } of clients ?? []) here.set(name, (here.get(name) ?? 0) + 1)
    for (const [name, count] of here) counts.set(name, Math.max(count, counts.get(name) ?? 0))
  }
  const row = (name: string, count: string): string => `${name.padEnd(48)} ${count.padStart(15)}`
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  return [
    `Client connections for volume ${volume}`,
    row('Name', 'count'),
    row('-----', '------'),
    ...[...counts].map(([name, count]) => row(name, String(count))),
    '',
    `total clients for volume ${volume} : ${total} `,
    '-'.repeat(65),
    '',
  ]
}
