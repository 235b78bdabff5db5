// Many files: made, crawled and removed, with the memory of client and bricks bounded.
// ASHLAR_CRAWL_FILES=100000 makes it the long crawl.
import { connect, type Volume } from 'ashlar'
import { memoryOf, succeed } from '@ashlar/testkit'
import { describe, expect, test } from 'vitest'
import { mountedVolume, obstacle } from './mounted.ts'

const FILES = Number(process.env['ASHLAR_CRAWL_FILES'] ?? 10_000)
const FILES_IN_DIRECTORY = 1000
const AT_ONCE = 50
const MIB = 1024 * 1024
/** An inode that is kept costs about 1.5 KiB; the rest is Node's own slack. */
const GROWTH_MAX = Math.min(FILES, 65_536) * 3 * 1024 + 100 * MIB

async function fill(volume: Volume): Promise<void> {
  for (let from = 0; from < FILES; from += FILES_IN_DIRECTORY) {
    const directory = `/crawl/${from / FILES_IN_DIRECTORY}`
    await volume.mkdir(directory, { recursive: true })
    const count = Math.min(FILES_IN_DIRECTORY, FILES - from)
    for (let i = 0; i < count; i += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, count - i) }, (_, j) => i + j)
      await Promise.all(some.map(each => volume.writeFile(`${directory}/${each}`, 'x')))
    }
  }
}

describe.skipIf(obstacle !== undefined)(`a crawl of ${FILES} files`, () => {
  const volume = mountedVolume(2)

  test('is complete, and takes no more memory each time', {
    timeout: 60_000 + FILES * 20,
  }, async () => {
    const { cluster, mount } = volume
    const memory = (): number[] =>
      [mount.pid, cluster.brickPid('gv0', 1), cluster.brickPid('gv0', 2)].map(memoryOf)
    {
      await using library = await connect({
        server: cluster.host,
        port: cluster.port,
        volume: 'gv0',
      })
      await fill(library)
    }
    const start = memory()
    const crawl = async (): Promise<void> => {
      const found = await succeed('find', [volume.at('crawl'), '-type', 'f', '-size', '1c'])
      expect(found.trim().split('\n')).toHaveLength(FILES)
    }
    await crawl()
    const first = memory()
    await crawl()
    await crawl()
    const third = memory()
    for (const [i, bytes] of first.entries())
      expect(bytes - (start[i] as number), `process ${i}`).toBeLessThan(GROWTH_MAX)
    for (const [i, bytes] of third.entries())
      expect(bytes - (first[i] as number), `process ${i}`).toBeLessThan(100 * MIB)
    await succeed('rm', ['-r', volume.at('crawl')], { timeoutMs: 60_000 + FILES * 10 })
  })
})
