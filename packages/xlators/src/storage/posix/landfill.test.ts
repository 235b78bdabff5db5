/** A tree that a heal removes as a whole: what was in it is not found by its gfid afterwards. */

import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { Errno, type Gfid, gfidText, inodeLoc } from '@ashlar/core'
import { errnoOf, FakeClock, good, TestVolume, until } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { posix } from './index.ts'

let root: string
let volume: TestVolume
let clock: FakeClock

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/landfill-`)
  clock = new FakeClock()
  volume = await TestVolume.start({
    brick: true,
    env: { clock },
    definitions: [posix],
    volfile: `
volume p
  type storage/posix
  option directory ${root}
end-volume`,
  })
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

function handle(gfid: Gfid): boolean {
  const text = gfidText(gfid)
  return existsSync(`${root}/.glusterfs/${text.slice(0, 2)}/${text.slice(2, 4)}/${text}`)
}

it('takes the handles of what was in it along', async () => {
  for (const path of ['/tree', '/tree/sub']) good(await volume.mkdir(path))
  const inside = await volume.write('/tree/sub/file', 'gone')
  const kept = await volume.write('/tree/kept', 'has another name')
  good(await volume.link('/tree/kept', '/outside'))
  const sub = await volume.stat('/tree/sub')
  good(await volume.rmdir('/tree', 1))
  expect(await readdir(`${root}/.glusterfs/landfill`)).toHaveLength(1)
  clock.advance(10_000)
  await until('the landfill is empty', 5000, async () => {
    return (await readdir(`${root}/.glusterfs/landfill`)).length === 0
  })
  expect([inside, sub, kept].map(stat => handle(stat.gfid))).toEqual([false, false, true])
  const loc = inodeLoc(volume.graph.inodes.obtain(inside.gfid))
  expect(errnoOf(await volume.top.lookup(volume.ctx, { loc }))).toBe(Errno.ESTALE)
  expect(await volume.read('/outside')).toBe('has another name')
})
