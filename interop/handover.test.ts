// A server changes hands: the daemon, the volume's definition and the bricks of one kind are served
// by the other, and back.
import { describe, expect, test } from 'vitest'
import { OPERATIONS } from './operations.ts'
import { type Kind, obstacle, Site, TREE } from './servers.ts'

const OTHER: Readonly<Record<Kind, Kind>> = { ours: 'glusterfs', glusterfs: 'ours' }
const MOUNT = '/mnt/volume'

/**
 * Xattrs of the bricks' files that say where they belong; the same whoever has made them. But for the
 * commit hash of a root's layout: GlusterFS leaves it at 1 ("not confirmed") for ever, ours confirms
 * the layout once it has seen that every name is where it belongs.
 */
const BRICK_XATTRS = `
for brick in /data/brick*; do
  cd $brick
  find . -path ./.glusterfs -prune -o -print0 | sort -z | xargs -0 getfattr -h -d -m '^trusted\\.(gfid|glusterfs\\.(dht$|volume-id))' -e hex |
    sed 's/^\\(trusted.glusterfs.dht=0x\\)00000001/\\100000000/'
done`

describe.skipIf(obstacle !== undefined)('a server changes hands', () => {
  test.each(['ours', 'glusterfs'] as const)('from %s and back', async first => {
    await using site = await Site.start(first, 3)
    const second = OTHER[first]

    await site.mount(first, MOUNT)
    for (const [i, { does }] of OPERATIONS.entries())
      await site.in(MOUNT, `mkdir ${i}; cd ${i}; ${does}`)
    const before = await site.in(MOUNT, TREE)
    const bricks = await site.in('/', BRICK_XATTRS)
    await site.unmount(MOUNT)

    await site.handOver(second)
    await site.mount(second, MOUNT)
    expect(await site.in(MOUNT, TREE)).toBe(before)
    expect(await site.in('/', BRICK_XATTRS)).toBe(bricks)
    await site.in(
      MOUNT,
      'mkdir more; for i in $(seq 20); do echo $i > more/$i; done; mv 0 zero; rm -r 1',
    )
    const changed = await site.in(MOUNT, TREE)
    await site.unmount(MOUNT)

    await site.handOver(first)
    await site.mount(first, MOUNT)
    expect(await site.in(MOUNT, TREE)).toBe(changed)
    await site.in(MOUNT, 'rm -r *; test -z "$(ls -A)"')
  })
})
