import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { defineXlator, Errno, failure, Iatt, inodeLoc, ROOT_CTX, SetAttr } from '@ashlar/core'
import { breakableLink, errnoOf, good, TestVolume } from '@ashlar/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { locks } from '../../features/locks/index.ts'
import { posix } from '../../storage/posix/index.ts'
import { distribute } from './index.ts'

/** As GlusterFS's bricks: what has lost its last name is reached by descriptors alone. */
const byDescriptor = defineXlator({
  type: 'testing/by-descriptor',
  options: {},
  create: ({ child }) => ({
    setattr: () => Promise.resolve(failure(Errno.ESTALE)),
    lookup: (ctx, args) =>
      args.loc.name === '' && !args.loc.inode.isRoot
        ? Promise.resolve(failure(Errno.ESTALE))
        : child.lookup(ctx, args),
  }),
})

it('an open file that is gone by its gfid is still reached by its descriptor', async () => {
  const home = await mkdtemp(`${tmpdir()}/ashlar-locate-`)
  onTestFinished(() => rm(home, { recursive: true }))
  const bricks = [0, 1].map(i => {
    mkdirSync(`${home}/${i}`)
    return `
volume posix-${i}
  type storage/posix
  option directory ${home}/${i}
end-volume
volume locks-${i}
  type features/locks
  subvolumes posix-${i}
end-volume
volume link-${i}
  type testing/link
  subvolumes locks-${i}
end-volume
volume brick-${i}
  type testing/by-descriptor
  subvolumes link-${i}
end-volume`
  })
  const volume = await TestVolume.start({
    definitions: [posix, locks, breakableLink, byDescriptor, distribute],
    volfile: `${bricks.join('')}
volume dht
  type cluster/distribute
  subvolumes brick-0 brick-1
end-volume`,
  })
  onTestFinished(() => volume.stop())
  good(await volume.lookup('/'))
  await volume.write('/f', 'text')
  const fd = await volume.open('/f')
  const { top } = volume.graph
  const change = { stat: new Iatt(), valid: SetAttr.MODE }
  expect(errnoOf(await top.setattr(ROOT_CTX, { loc: inodeLoc(fd.inode), ...change }))).toBe(
    Errno.ESTALE,
  )
  expect(good(await top.fstat(ROOT_CTX, { fd })).stat.size).toBe(4)
  good(await top.fsetattr(ROOT_CTX, { fd, ...change }))
  fd.unref()
})
