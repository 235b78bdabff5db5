/**
 * Directory and File: the objects that bindings of libgfapi offer (libgfapi-ruby's GFS::Directory
 * and GFS::File), each for one path of a volume.
 */

import { createReadStream, type PathLike as LocalPath } from 'node:fs'
import type { Dirent, Stats } from './stats.ts'
import type { PathLike } from './path-walk.ts'
import type { Volume } from './volume.ts'

/** A directory of a volume, whether it is there yet or not. */
export class Directory {
  readonly volume: Volume
  readonly path: PathLike

  constructor(volume: Volume, path: PathLike) {
    this.volume = volume
    this.path = path
  }

  /** Makes it. Rejects with EEXIST when there is something. */
  async create(mode = 0o755): Promise<void> {
    await this.volume.mkdir(this.path, mode)
  }

  entries(): Promise<Dirent[]> {
    return this.volume.readdir(this.path, { withFileTypes: true })
  }

  stat(): Promise<Stats> {
    return this.volume.stat(this.path)
  }

  /** Removes it when it is empty. */
  async delete(): Promise<void> {
    await this.volume.rmdir(this.path)
  }
}

/** A file of a volume, whether it is there yet or not. */
export class File {
  readonly volume: Volume
  readonly path: PathLike

  constructor(volume: Volume, path: PathLike) {
    this.volume = volume
    this.path = path
  }

  /** Makes `data` its whole content; resolves with the count of bytes. */
  async write(data: string | Uint8Array, mode = 0o644): Promise<number> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    await this.volume.writeFile(this.path, bytes, { mode })
    return bytes.length
  }

  /** Makes a copy of a local file its whole content, streamed; resolves with the count of bytes. */
  async writeFile(local: LocalPath, mode = 0o644): Promise<number> {
    let count = 0
    const counted = async function* (): AsyncGenerator<Buffer> {
      for await (const piece of createReadStream(local, { highWaterMark: 1024 * 1024 })) {
        count += (piece as Buffer).length
        yield piece as Buffer
      }
    }
    await this.volume.writeFile(this.path, counted(), { mode })
    return count
  }

  read(): Promise<Buffer>
  read(encoding: BufferEncoding): Promise<string>
  read(encoding?: BufferEncoding): Promise<Buffer | string> {
    return encoding === undefined
      ? this.volume.readFile(this.path)
      : this.volume.readFile(this.path, encoding)
  }

  stat(): Promise<Stats> {
    return this.volume.stat(this.path)
  }

  async delete(): Promise<void> {
    await this.volume.unlink(this.path)
  }
}
