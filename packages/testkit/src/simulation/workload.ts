/** Workload: what a simulated client does, one operation after the other, and what it notes of it. */

import {
  delay,
  type Fd,
  gfidText,
  Iatt,
  inodeLoc,
  OpenFlag,
  ROOT_GFID,
  SetAttr,
  valueText,
} from '@ashlar/core'
import { errnoOf, type TestVolume } from '../test-volume.ts'
import type { SimulatedClient } from './cluster.ts'
import type { Dice } from './dice.ts'
import {
  attributeRegister,
  BLOCK_BYTES,
  blockOf,
  blockRegister,
  BLOCKS,
  EMPTY,
  type History,
  nameRegister,
  type Operation,
  UNKNOWN,
  valuesOf,
} from './history.ts'

const DIRECTORIES = ['', '/p', '/q']
const NAMES = ['a', 'b', 'c']
/** Longest pause between two operations. */
const PAUSE_MS = 400
const OPEN_MAX = 3
const XATTR = 'user.mark'

const WEIGHTS = {
  create: 8,
  write: 22,
  read: 14,
  truncate: 3,
  rename: 6,
  link: 3,
  unlink: 5,
  mkdir: 4,
  rmdir: 2,
  chmod: 3,
  setxattr: 3,
  getxattr: 2,
  look: 5,
  list: 4,
  fsync: 3,
  close: 3,
} as const
type Kind = keyof typeof WEIGHTS

/** How clients behave. */
interface Manner {
  readonly weights: Readonly<Record<Kind, number>>
  /** Where they work. */
  readonly directories: readonly string[]
  readonly pauseMs: number
  /** Of all renames those of a whole directory. */
  readonly wholes: number
}

const CALM: Manner = {
  weights: WEIGHTS,
  directories: DIRECTORIES,
  pauseMs: PAUSE_MS,
  wholes: 0.2,
}
const CROWDED: Manner = {
  weights: { ...WEIGHTS, create: 60, rename: 120, mkdir: 8, rmdir: 6 },
  directories: [''],
  pauseMs: 5,
  wholes: 0,
}

export class Workload {
  readonly #client: SimulatedClient
  readonly #volume: TestVolume
  readonly #history: History
  readonly #dice: Dice
  readonly #fds: Fd[] = []
  readonly #complete: boolean
  readonly #manner: Manner
  #serial = 0
  /** Resolves never when the client dies. */
  readonly done: Promise<void>
  finished = false

  constructor(options: {
    client: SimulatedClient
    history: History
    dice: Dice
    operations: number
    /** What a listing does not show is not there. */
    complete: boolean
    crowded: boolean
  }) {
    const { client, history, dice, operations, complete, crowded } = options
    this.#complete = complete
    this.#manner = crowded ? CROWDED : CALM
    this.#client = client
    this.#volume = client.volume
    this.#history = history
    this.#dice = dice
    this.done = this.#run(operations)
  }

  async #run(operations: number): Promise<void> {
    const { clock } = this.#volume.env
    // Some wait for all bricks, some begin with those that have come.
    await delay(clock, this.#dice.between(5, 300))
    for (let i = 0; i < operations; i++) {
      const { pauseMs, weights } = this.#manner
      if (this.#dice.chance(0.6)) await delay(clock, this.#dice.between(0, pauseMs))
      const kind = this.#dice.weighted(weights)
      await this.#one(kind)
    }
    while (this.#fds.length > 0) this.#close(0)
    this.finished = true
  }

  #path(): string {
    return `${this.#dice.pick(this.#manner.directories)}/${this.#dice.pick(NAMES)}`
  }

  async #one(kind: Kind): Promise<void> {
    const operation = this.#history.begin(this.#client.name, '')
    try {
      await this[kind](operation)
    } catch (error) {
      const errno = /^errno (\d+)$/.exec(error instanceof Error ? error.message : '')?.[1]
      if (errno === undefined) throw error
      this.#end(operation, Number(errno))
    }
  }

  #say(operation: Operation, text: string): void {
    operation.text = text
  }

  #end(operation: Operation, errno: number, result = ''): void {
    if (errno === 0 || operation.errno === UNKNOWN) this.#history.end(operation, errno, result)
  }

  /** Where a path's name stands: its register. Looks the directory up. */
  async #nameOf(path: string): Promise<string> {
    const cut = path.lastIndexOf('/')
    const directory = cut <= 0 ? undefined : await this.#volume.inode(path.slice(0, cut))
    return nameRegister(gfidText(directory?.gfid ?? ROOT_GFID), path.slice(cut + 1))
  }

  /** An open file: one that is open already, or one opened now. */
  async #file(operation: Operation, doing: string): Promise<Fd> {
    if (this.#fds.length > 0 && this.#dice.chance(0.7)) {
      const fd = this.#dice.pick(this.#fds)
      this.#say(operation, `${doing} ${short(fd)}`)
      return fd
    }
    const path = this.#path()
    this.#say(operation, `${doing} ${path}`)
    const fd = await this.#volume.open(path)
    this.#keep(fd)
    this.#say(operation, `${doing} ${path} ${short(fd)}`)
    return fd
  }

  #keep(fd: Fd): void {
    this.#fds.push(fd)
    if (this.#fds.length > OPEN_MAX) this.#close(0)
  }

  #close(index: number): void {
    this.#fds.splice(index, 1)[0]?.unref()
  }

  #fresh(): string {
    return `${this.#client.name.replace('client-', 'c')}.${++this.#serial}`
  }

  async create(operation: Operation): Promise<void> {
    const path = this.#path()
    this.#say(operation, `create ${path}`)
    const register = await this.#nameOf(path)
    const xdata = this.#volume.fresh()
    const gfid = gfidText(xdata.getGfid('gfid-req') as never)
    operation.writes.set(register, gfid)
    this.#history.initial.set(attributeRegister(gfid, 'mode'), '644')
    const flags = OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.EXCL
    const { reply, fd } = await this.#volume.create(path, { flags, xdata })
    this.#end(operation, errnoOf(reply), gfid.slice(0, 8))
    if (reply.ok) this.#keep(fd)
    else fd.unref()
  }

  async write(operation: Operation): Promise<void> {
    const first = this.#dice.integer(BLOCKS)
    const count = 1 + this.#dice.integer(BLOCKS - first)
    const value = this.#fresh()
    const fd = await this.#file(operation, `write ${value} to ${first}+${count} of`)
    for (let block = first; block < first + count; block++)
      operation.writes.set(blockRegister(gfidText(fd.inode.gfid), block), value)
    const data = Buffer.concat(Array.from({ length: count }, () => blockOf(value)))
    const offset = first * BLOCK_BYTES
    const args = { fd, data, offset, flags: 0 }
    const reply = await this.#volume.top.writev(this.#volume.ctx, args)
    const short = reply.ok && reply.written < data.length
    this.#end(operation, short ? 5 : errnoOf(reply))
  }

  async read(operation: Operation): Promise<void> {
    const fd = await this.#file(operation, 'read')
    const args = { fd, size: BLOCKS * BLOCK_BYTES, offset: 0, flags: 0 }
    const reply = await this.#volume.top.readv(this.#volume.ctx, args)
    if (!reply.ok) return this.#end(operation, reply.errno)
    const values = valuesOf(reply.data)
    const gfid = gfidText(fd.inode.gfid)
    for (const [block, value] of values.entries())
      operation.reads.set(blockRegister(gfid, block), value)
    this.#end(operation, 0, values.join(' '))
  }

  async truncate(operation: Operation): Promise<void> {
    const blocks = this.#dice.integer(BLOCKS + 1)
    const fd = await this.#file(operation, `truncate to ${blocks}`)
    for (let block = blocks; block < BLOCKS; block++)
      operation.writes.set(blockRegister(gfidText(fd.inode.gfid), block), EMPTY)
    const offset = blocks * BLOCK_BYTES
    this.#end(
      operation,
      errnoOf(await this.#volume.top.ftruncate(this.#volume.ctx, { fd, offset })),
    )
  }

  async fsync(operation: Operation): Promise<void> {
    const fd = await this.#file(operation, 'fsync')
    this.#end(
      operation,
      errnoOf(await this.#volume.top.fsync(this.#volume.ctx, { fd, datasync: true })),
    )
  }

  async close(operation: Operation): Promise<void> {
    this.#say(operation, 'close')
    if (this.#fds.length > 0) this.#close(this.#dice.integer(this.#fds.length))
    this.#end(operation, 0)
  }

  async rename(operation: Operation): Promise<void> {
    const whole = this.#dice.chance(this.#manner.wholes)
    const [from, to] = whole
      ? this.#dice.pick([
          ['/p', '/q'],
          ['/q', '/p'],
        ] as const)
      : [this.#path(), this.#path()]
    this.#say(operation, `rename ${from} ${to}`)
    const source = await this.#nameOf(from)
    const target = await this.#nameOf(to)
    const inode = await this.#volume.inode(from)
    const gfid = gfidText(inode.gfid)
    if (source !== target) {
      operation.writes.set(source, EMPTY)
      operation.writes.set(target, gfid)
    }
    const reply = await this.#volume.rename(from, to)
    if (reply.ok && gfidText(reply.stat.gfid) !== gfid)
      operation.writes.set(target, gfidText(reply.stat.gfid))
    // If both are names of one file nothing is renamed, and the answer does not tell.
    operation.unsure = reply.ok && !reply.stat.isDirectory && reply.stat.nlink > 1
    this.#end(operation, errnoOf(reply), gfid.slice(0, 8))
  }

  async link(operation: Operation): Promise<void> {
    const [from, to] = [this.#path(), this.#path()]
    this.#say(operation, `link ${from} ${to}`)
    const target = await this.#nameOf(to)
    const inode = await this.#volume.inode(from)
    const gfid = gfidText(inode.gfid)
    operation.writes.set(target, gfid)
    const newloc = { ...(await this.#volume.entry(to)), inode, gfid: inode.gfid }
    const oldloc = inodeLoc(inode)
    const reply = await this.#volume.top.link(this.#volume.ctx, { oldloc, newloc })
    this.#end(operation, errnoOf(reply), gfid.slice(0, 8))
  }

  async unlink(operation: Operation): Promise<void> {
    const path = this.#path()
    this.#say(operation, `unlink ${path}`)
    operation.writes.set(await this.#nameOf(path), EMPTY)
    this.#end(operation, errnoOf(await this.#volume.unlink(path)))
  }

  async mkdir(operation: Operation): Promise<void> {
    const path = this.#dice.pick(DIRECTORIES.slice(1))
    this.#say(operation, `mkdir ${path}`)
    const xdata = this.#volume.fresh()
    const gfid = gfidText(xdata.getGfid('gfid-req') as never)
    operation.writes.set(nameRegister(gfidText(ROOT_GFID), path.slice(1)), gfid)
    const reply = await this.#volume.mkdir(path, 0o755, xdata)
    this.#end(operation, errnoOf(reply), gfid.slice(0, 8))
  }

  async rmdir(operation: Operation): Promise<void> {
    const path = this.#dice.pick(DIRECTORIES.slice(1))
    this.#say(operation, `rmdir ${path}`)
    operation.writes.set(nameRegister(gfidText(ROOT_GFID), path.slice(1)), EMPTY)
    this.#end(operation, errnoOf(await this.#volume.rmdir(path)))
  }

  async chmod(operation: Operation): Promise<void> {
    const path = this.#path()
    const mode = this.#dice.pick([0o600, 0o640, 0o604, 0o660])
    this.#say(operation, `chmod ${mode.toString(8)} ${path}`)
    const loc = await this.#volume.loc(path)
    operation.writes.set(attributeRegister(gfidText(loc.inode.gfid), 'mode'), mode.toString(8))
    const stat = Object.assign(new Iatt(), { mode })
    const reply = await this.#volume.top.setattr(this.#volume.ctx, {
      loc,
      stat,
      valid: SetAttr.MODE,
    })
    this.#end(operation, errnoOf(reply))
  }

  async setxattr(operation: Operation): Promise<void> {
    const path = this.#path()
    const value = this.#fresh()
    this.#say(operation, `setxattr ${value} ${path}`)
    const loc = await this.#volume.loc(path)
    operation.writes.set(attributeRegister(gfidText(loc.inode.gfid), XATTR), value)
    const dict = this.#volume.fresh()
    dict.delete('gfid-req')
    dict.setBytes(XATTR, Buffer.from(value))
    const reply = await this.#volume.top.setxattr(this.#volume.ctx, { loc, dict, flags: 0 })
    this.#end(operation, errnoOf(reply))
  }

  async getxattr(operation: Operation): Promise<void> {
    const path = this.#path()
    this.#say(operation, `getxattr ${path}`)
    const loc = await this.#volume.loc(path)
    const reply = await this.#volume.top.getxattr(this.#volume.ctx, { loc, name: XATTR })
    const absent = !reply.ok && reply.errno === 61
    if (!reply.ok && !absent) return this.#end(operation, reply.errno)
    const entry = reply.ok ? reply.dict.get(XATTR) : undefined
    const value = entry === undefined ? EMPTY : (valueText(entry) ?? EMPTY)
    operation.reads.set(attributeRegister(gfidText(loc.inode.gfid), XATTR), value)
    this.#end(operation, 0, value)
  }

  async look(operation: Operation): Promise<void> {
    const path = this.#path()
    this.#say(operation, `lookup ${path}`)
    const register = await this.#nameOf(path)
    const reply = await this.#volume.lookup(path)
    const absent = !reply.ok && reply.errno === 2
    if (!reply.ok && !absent) return this.#end(operation, reply.errno)
    const gfid = reply.ok ? gfidText(reply.stat.gfid) : EMPTY
    operation.reads.set(register, gfid)
    if (reply.ok) {
      const mode = (reply.stat.mode & 0o777).toString(8)
      operation.reads.set(attributeRegister(gfid, 'mode'), mode)
    }
    this.#end(operation, 0, gfid.slice(0, 8))
  }

  async list(operation: Operation): Promise<void> {
    const path = this.#dice.pick(DIRECTORIES)
    this.#say(operation, `list ${path}/`)
    const directory = gfidText((await this.#volume.inode(path)).gfid)
    const entries = await this.#volume.list(path === '' ? '/' : path)
    for (const name of NAMES) {
      const entry = entries.find(each => each.name === name)
      // As GlusterFS's, a listing shows what the sets have that are in reach, and what an outdated
      // copy has when it is the only one in reach that is not an arbiter.
      const register = nameRegister(directory, name)
      if (entry === undefined) {
        if (this.#complete) operation.reads.set(register, EMPTY)
      } else if (!entry.stat.isEmpty) {
        operation.reads.set(register, gfidText(entry.stat.gfid))
      }
    }
    const shown = entries.map(entry => entry.name).filter(name => !name.startsWith('.'))
    this.#end(operation, 0, shown.join(' '))
  }
}

function short(fd: Fd): string {
  return gfidText(fd.inode.gfid).slice(0, 8)
}
