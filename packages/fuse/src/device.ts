/**
 * The FUSE device of one mount: requests in, replies and news out.
 *
 * Requests are read on the main loop without the thread pool: libuv polls the device and reads it
 * into one large buffer (a read must have room for the largest request, else the kernel refuses
 * it); while there are more, they are read directly. That buffer is used again for the next
 * request, so whoever keeps bytes of one copies them, or takes the whole buffer by `takeBuffer`.
 * Replies are written at once: the kernel never makes them wait. News to the kernel
 * (invalidations) can wait for locks that only our own replies release: they go by a thread, one
 * after the other.
 */

import { Socket } from 'node:net'
import { assert, Errno, type Log } from '@ashlar/core'
import * as sys from '@ashlar/sys'
import { type MountOptions, mountDevice, realMountpoint, unmountPath } from './mount.ts'
import { IN_HEADER_BYTES, OUT_HEADER_BYTES } from './protocol/constants.ts'
import { printReply, printRequest } from './protocol/print.ts'

/** Largest read and write of the kernel: 256 pages. */
export const MAX_REQUEST_BYTES = 1 << 20
const BUFFER_BYTES = MAX_REQUEST_BYTES + 4096
/** Buffers kept for large writes: fresh memory costs as much as filling it. */
const SPARE_MAX = 8
/** Requests read in one go before other work of the process gets its turn. */
const BURST_MAX = 64
/** Small replies are put together here. */
const SCRATCH_BYTES = 8192

/** Takes each request. The buffer is valid until it returns. */
export type RequestHandler = (message: Buffer, length: number) => void

export interface FuseDeviceOptions extends Omit<MountOptions, 'maxRead'> {
  readonly log: Log
}

/** Mounts a FUSE file system; nothing is read before `listen`. Throws MountError. */
export async function mountFuse(options: FuseDeviceOptions): Promise<FuseDevice> {
  const mountpoint = realMountpoint(options.mountpoint)
  const fd = await mountDevice({ ...options, mountpoint, maxRead: MAX_REQUEST_BYTES })
  return new FuseDevice(fd, mountpoint, options.log)
}

/** The members of Node's pipe handle used here: it has no public name. */
interface PipeHandle {
  open(fd: number): number
}
interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle
  readonly constants: { readonly SOCKET: number }
}

export class FuseDevice {
  readonly fd: number
  readonly mountpoint: string
  /** Resolves when the kernel has closed the connection: the file system is unmounted. */
  readonly closed: Promise<void>
  readonly #log: Log
  /** What libuv reads into. It has its address: only within its callback can it be another one. */
  #polled = newBuffer()
  /** What we read into ourselves. */
  #direct = newBuffer()
  readonly #spare: Buffer[] = []
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #socket: Socket | undefined
  #handler: RequestHandler | undefined
  #open = true
  #trace = false
  #markClosed: () => void = () => {}
  #news: Promise<unknown> = Promise.resolve()

  constructor(fd: number, mountpoint: string, log: Log) {
    this.fd = fd
    this.mountpoint = mountpoint
    this.#log = log
    this.closed = new Promise(resolve => {
      this.#markClosed = resolve
    })
  }

  /** Prints every request and reply to the log at level trace. */
  set trace(on: boolean) {
    this.#trace = on
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Starts reading. Once. */
  listen(handler: RequestHandler): void {
    assert(this.#handler === undefined, 'a device has one reader')
    this.#handler = handler
    const handle = adopt(this.fd)
    this.#socket = new Socket({
      handle,
      readable: true,
      writable: false,
      onread: {
        buffer: () => this.#polled,
        callback: length => {
          this.#receive(length)
          return true
        },
      },
    } as ConstructorParameters<typeof Socket>[0])
    this.#socket.on('error', error => this.#end((error as NodeJS.ErrnoException).errno))
    this.#socket.on('close', () => this.#end(undefined))
  }

  /**
   * Gives the buffer of the present request away, until `giveBuffer`; later requests get another
   * one. Only while that request is handled.
   */
  takeBuffer(buffer: Buffer): void {
    if (buffer === this.#polled) this.#polled = this.#spare.pop() ?? newBuffer()
    else if (buffer === this.#direct) this.#direct = this.#spare.pop() ?? newBuffer()
  }

  /** Takes a buffer back that nobody uses any more. */
  giveBuffer(buffer: Buffer): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer)
  }

  /** Takes one request without waiting; false when there is none. */
  poll(): boolean {
    if (!this.#open) return false
    const length = sys.read(this.fd, this.#direct)
    if (length < IN_HEADER_BYTES) return false
    this.#deliver(this.#direct, length)
    return true
  }

  /**
   * Room for a reply of at most SCRATCH_BYTES − 16 bytes: its body is written at OUT_HEADER_BYTES,
   * then `reply` sends it. Valid until the next reply.
   */
  get scratch(): Buffer {
    return this.#scratch
  }

  /**
   * Sends a success whose body of `bodyLength` bytes is in `scratch`. False when the kernel did not
   * take it: what it would have taught the kernel (a nodeid, a handle) is not known there.
   */
  reply(unique: number, bodyLength: number): boolean {
    const length = OUT_HEADER_BYTES + bodyLength
    writeHeader(this.#scratch, length, 0, unique)
    return this.#send(length, unique, 0)
  }

  /** Sends a failure. `errno` is positive. */
  replyError(unique: number, errno: number): void {
    assert(errno > 0 && errno < 512, 'an errno in a reply')
    writeHeader(this.#scratch, OUT_HEADER_BYTES, -errno, unique)
    this.#send(OUT_HEADER_BYTES, unique, -errno)
  }

  /** Sends a success with bytes, without copying long ones. */
  replyBytes(unique: number, data: Buffer): void {
    const length = OUT_HEADER_BYTES + data.length
    if (length <= SCRATCH_BYTES) {
      data.copy(this.#scratch, OUT_HEADER_BYTES)
      this.reply(unique, data.length)
      return
    }
    writeHeader(this.#scratch, length, 0, unique)
    if (!this.#open) return
    const result = sys.writev(this.fd, [this.#scratch.subarray(0, OUT_HEADER_BYTES), data])
    this.#afterSend(result, unique, 0, length)
  }

  /**
   * Tells the kernel something of our own accord (Notify code and body). Resolves to 0 or −errno;
   * −ENOENT means that the kernel does not know the inode or name any more.
   */
  notify(code: number, body: Buffer): Promise<number> {
    const message = Buffer.allocUnsafe(OUT_HEADER_BYTES + body.length)
    writeHeader(message, message.length, code, 0)
    body.copy(message, OUT_HEADER_BYTES)
    const sent = this.#news.then(() =>
      this.#open ? sys.writeAsync(this.fd, message) : -Errno.ENODEV,
    )
    this.#news = sent
    return sent
  }

  /** Like `notify`, at once: only for news of which the kernel waits for nothing of ours. */
  notifyNow(code: number, body: Buffer): number {
    const message = Buffer.allocUnsafe(OUT_HEADER_BYTES + body.length)
    writeHeader(message, message.length, code, 0)
    body.copy(message, OUT_HEADER_BYTES)
    return this.#open ? sys.write(this.fd, message) : -Errno.ENODEV
  }

  /**
   * Unmounts. When the file system is in use that fails with −EBUSY, unless `lazy`: then it
   * disappears from the tree and ends with its last user. 0 or −errno.
   */
  async unmount(options: { lazy?: boolean } = {}): Promise<number> {
    if (!this.#open) return 0
    return await unmountPath(this.mountpoint, options.lazy ?? false)
  }

  /** Stops serving at once: every call on the mount fails from now on. */
  abort(): void {
    this.#end(undefined)
  }

  #send(length: number, unique: number, error: number): boolean {
    if (!this.#open) return false
    return this.#afterSend(sys.write(this.fd, this.#scratch, length), unique, error, length)
  }

  #afterSend(result: number, unique: number, error: number, length: number): boolean {
    if (this.#trace) this.#log.trace(printReply(unique, error, length))
    if (result >= 0) return true
    // ENOENT: the caller was killed meanwhile and nobody waits for the answer.
    if (result === -Errno.ENOENT || result === -Errno.ENODEV) return false
    this.#log.warning('the kernel refused a reply', { unique, errno: -result, length })
    if (error === 0 && length > OUT_HEADER_BYTES) this.replyError(unique, Errno.EIO)
    return false
  }

  #receive(first: number): void {
    if (first >= IN_HEADER_BYTES) this.#deliver(this.#polled, first)
    for (let burst = 0; burst < BURST_MAX && this.poll(); burst++);
  }

  #deliver(buffer: Buffer, length: number): void {
    if (this.#trace) this.#log.trace(printRequest(buffer.subarray(0, length)))
    this.#handler?.(buffer, length)
  }

  #end(errno: number | undefined): void {
    if (!this.#open) return
    this.#open = false
    if (errno !== undefined && errno !== -Errno.ENODEV) {
      this.#log.error('reading the FUSE device failed', { errno: -errno })
    }
    // The descriptor belongs to the socket's handle and is closed with it.
    if (this.#socket === undefined) sys.close(this.fd)
    else this.#socket.destroy()
    this.#markClosed()
  }
}

function newBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(BUFFER_BYTES)
}

function writeHeader(buffer: Buffer, length: number, error: number, unique: number): void {
  buffer.writeUInt32LE(length, 0)
  buffer.writeInt32LE(error, 4)
  buffer.writeUInt32LE(unique % 2 ** 32, 8)
  buffer.writeUInt32LE(Math.floor(unique / 2 ** 32), 12)
}

/** Wraps the device in a libuv stream. libuv asks nothing of a pipe but poll and read. */
function adopt(fd: number): PipeHandle {
  const node = process as unknown as { binding(name: string): PipeBinding }
  const { Pipe, constants } = node.binding('pipe_wrap')
  const handle = new Pipe(constants.SOCKET)
  const result = handle.open(fd)
  assert(result === 0, `libuv does not take the FUSE device: ${result}`)
  return handle
}
