/** One process of a random row: 4 KiB at random places of a file for some seconds; prints the count. */

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'

const BLOCK_BYTES = 4096
const [kind, path, seconds] = process.argv.slice(2) as [string, string, string]
const fd = openSync(path, kind === 'read' ? 'r' : 'r+')
const blocks = Math.floor(fstatSync(fd).size / BLOCK_BYTES)
const buffer = Buffer.alloc(BLOCK_BYTES, 'r')
const end = performance.now() + Number(seconds) * 1000
let count = 0
while (performance.now() < end) {
  const offset = Math.floor(Math.random() * blocks) * BLOCK_BYTES
  if (kind === 'read') readSync(fd, buffer, 0, BLOCK_BYTES, offset)
  else writeSync(fd, buffer, 0, BLOCK_BYTES, offset)
  count += 1
}
if (kind === 'write') fsyncSync(fd)
closeSync(fd)
process.stdout.write(String(count))
