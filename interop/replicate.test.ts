/** Replicated volumes, shared with GlusterFS: its clients and ours, its bricks and ours. */

import { readFile } from 'node:fs/promises'
import { until } from '@ashlar/testkit'
import { describe, expect, it } from 'vitest'
import { type Kind, obstacle, Site, TREE } from './servers.ts'

const VOLUME = 'gv0'
const HEAL_MS = 60_000
const TEST_MS = 240_000

/** A brick as a user of the volume could see it, without what is the brick's own. */
const BRICK_TREE = `
find . -path ./.glusterfs -prune -o -path ./.trashcan -prune -o -name '.glusterfs-anonymous-inode*' -prune -o -mindepth 1 -type d -printf '%p %y %m %U %G\\n' | sort
find . -path ./.glusterfs -prune -o -path ./.trashcan -prune -o -name '.glusterfs-anonymous-inode*' -prune -o -mindepth 1 ! -type d -printf '%p %y %m %U %G %s %l\\n' | sort
find . -path './.glusterfs*' -prune -o -type f -print0 | sort -z | xargs -0 -r sha256sum
`
/** The same of an arbiter, which has no data. */
const NAMES = `
find . -path ./.glusterfs -prune -o -path ./.trashcan -prune -o -name '.glusterfs-anonymous-inode*' -prune -o -mindepth 1 -printf '%p %y %m %U %G %l\\n' | sort
`
/** What bricks hold against each other: changelogs that are not zero, and the heal index. */
const CHANGELOGS = `
find . -path './.glusterfs*' -prune -o -print0 | sort -z |
  xargs -0 getfattr -h -d -m 'trusted.afr' -e hex --absolute-names |
  awk '/^# file/{file=$3} /=/ && !/=0x0*$/ {print file, $0}' | sort
for kind in xattrop dirty; do
  echo $kind $(ls .glusterfs/indices/$kind | grep -v "^$kind-" | wc -l)
done
for directory in $(ls .glusterfs/indices/entry-changes | grep -v '^entry-changes-'); do
  echo names $(ls .glusterfs/indices/entry-changes/$directory | sort)
done | sort
`

async function brickPid(site: Site, brick: number): Promise<string> {
  return site.machine.script(`pgrep -f -- '--brick-name /data/brick${brick} ' | head -n 1`)
}

async function kill(site: Site, brick: number): Promise<void> {
  const pid = (await brickPid(site, brick)).trim()
  await site.machine.script(
    `kill -9 ${pid}; while [ -d /proc/${pid} ]; do read -t 0.05 < <(sleep 1) || true; done`,
  )
}

async function healed(site: Site): Promise<void> {
  try {
    await until('nothing is left to heal', HEAL_MS, async () => {
      const info = await site.gluster(`volume heal ${VOLUME} info summary`)
      const numbers = [...info.matchAll(/Total Number of entries: (\S+)/g)].map(match => match[1])
      return numbers.length > 0 && numbers.every(number => number === '0') ? true : undefined
    })
  } catch (error) {
    const why = await site.gluster(`--json volume heal ${VOLUME} info`)
    throw new Error(`${String(error)}\n${why}`, { cause: error })
  }
}

const storm = (rounds: number, ...places: string[]): string =>
  `node interop/storm.mjs ${rounds} ${places.join(' ')}`

describe.skipIf(obstacle !== undefined)('both clients on one volume of ours', () => {
  it.each([
    ['replica 2', 2, -1],
    ['replica 3', 3, -1],
    ['replica 3 arbiter 1', 3, 3],
    ['replica 2', 4, -1],
  ])(
    '%s on %i bricks, which die and come back',
    async (shape, bricks, arbiter) => {
      await using site = await Site.start('ours', bricks, shape)
      // Two of two must be enough to go on when one of them is away.
      if (bricks !== 3) await site.gluster(`volume set ${VOLUME} cluster.quorum-type none`)
      await site.mount('ours', '/mnt/ours')
      await site.mount('glusterfs', '/mnt/theirs')
      await site.in('/mnt/ours', 'mkdir w')
      const mounts = ['/mnt/ours/w', '/mnt/theirs/w', '/mnt/ours/w', '/mnt/theirs/w']
      await site.machine.script(storm(10, ...mounts))
      const work = site.machine.script(storm(40, ...mounts))
      await kill(site, 1)
      await work
      await site.gluster(`volume start ${VOLUME} force`)
      // A brick is back with names that are others' by now. GlusterFS's client believes it against the
      // good ones until it is healed, and ends in EIO and, without quorum, in split-brain: of 5 rounds
      // with its own servers, 3. Ours must not.
      const atReturn = mounts.filter(mount => mount.startsWith('/mnt/ours'))
      await site.machine.script(storm(10, ...atReturn))
      await healed(site)
      await site.machine.script(storm(10, ...mounts))
      await healed(site)
      expect(await site.in('/mnt/ours', TREE)).toBe(await site.in('/mnt/theirs', TREE))
      for (let first = 1; first <= bricks; first += bricks === 4 ? 2 : bricks) {
        const last = first + (bricks === 4 ? 2 : bricks) - 1
        for (let brick = first + 1; brick <= last; brick++) {
          const compare = brick === arbiter ? NAMES : BRICK_TREE
          expect(await site.in(`/data/brick${brick}`, compare)).toBe(
            await site.in(`/data/brick${first}`, compare),
          )
        }
      }
    },
    TEST_MS,
  )
})

/** The recorded outage: what a client does while the third brick is away. */
const BEFORE = `
for name in keep meta gone data mv hl xa trunc; do
  for i in 1 2 3 4 5 6 7 8 9 10; do echo "$name content"; done > $name
done
mkdir d; echo sub > d/sub; setfattr -n user.k -v v1 xa; sync
`
const OUTAGE = `
printf CHANGED | dd of=data bs=1 seek=5 conv=notrunc status=none
truncate -s 20 trunc
chmod 0600 meta; chown 1:1 meta; setfattr -n user.k -v v2 xa
echo 'new file' > new; mkdir newd; echo f > newd/f; mv mv moved; ln hl hl2; ln -s keep sl; rm gone
`

/** The recorded outage with brick `away` killed: the changelogs of all others, as they are recorded. */
async function outage(site: Site, kind: Kind, bricks: number, away: number): Promise<string> {
  await site.mount(kind, '/mnt/client')
  await site.in('/mnt/client', BEFORE)
  await until('the first changes are settled', HEAL_MS, async () => {
    const text = await site.in('/data/brick1', CHANGELOGS)
    return text.includes('dirty 0') ? true : undefined
  })
  await kill(site, away)
  await site.in('/mnt/client', OUTAGE)
  await site.unmount('/mnt/client')
  let logs = ''
  for (let brick = 1; brick <= bricks; brick++) {
    if (brick === away) continue
    await until('dirty is taken back', HEAL_MS, async () => {
      const text = await site.in(`/data/brick${brick}`, CHANGELOGS)
      return text.includes('dirty 0') ? true : undefined
    })
    logs += `# brick ${brick}\n${await site.in(`/data/brick${brick}`, CHANGELOGS)}\n`
  }
  return logs
}

/** What GlusterFS 10.3 was recorded to leave on its bricks. */
function recorded(name: string): Promise<string> {
  return readFile(new URL(`fixtures/outage-${name}.txt`, import.meta.url), 'utf8')
}

async function expectAlike(site: Site): Promise<void> {
  const first = await site.in('/data/brick1', BRICK_TREE)
  expect(await site.in('/data/brick2', BRICK_TREE)).toBe(first)
  expect(await site.in('/data/brick3', BRICK_TREE)).toBe(first)
}

describe.skipIf(obstacle !== undefined)('an outage on bricks of GlusterFS', () => {
  it(
    'leaves the same changelogs and indices by either client, and each heals what the other left',
    async () => {
      for (const client of ['ours', 'glusterfs'] as const) {
        await using site = await Site.start('glusterfs', 3, 'replica 3')
        await site.gluster(`volume set ${VOLUME} cluster.self-heal-daemon off`)
        expect(await outage(site, client, 3, 3)).toBe(await recorded('rep3'))
        const healer: Kind = client === 'ours' ? 'glusterfs' : 'ours'
        if (healer === 'ours') await site.handOver('ours')
        else await site.gluster(`volume start ${VOLUME} force`)
        await site.gluster(`volume set ${VOLUME} cluster.self-heal-daemon on`)
        await until('the daemon takes the order', HEAL_MS, async () =>
          (await site.run(`volume heal ${VOLUME}`)) === 0 ? true : undefined,
        )
        await healed(site)
        await expectAlike(site)
      }
    },
    TEST_MS,
  )
})

describe.skipIf(obstacle !== undefined)('an outage on bricks of ours', () => {
  it.each([
    ['rep2', 'replica 2', 2, 1],
    ['rep3', 'replica 3', 3, 3],
    ['arb', 'replica 3 arbiter 1', 3, 3],
    ['arb-data-brick-down', 'replica 3 arbiter 1', 3, 1],
  ])(
    'leaves what was recorded of GlusterFS, and is healed: %s',
    async (name, shape, bricks, away) => {
      await using site = await Site.start('ours', bricks, shape)
      await site.gluster(`volume set ${VOLUME} cluster.self-heal-daemon off`)
      expect(await outage(site, 'ours', bricks, away)).toBe(await recorded(name))
      await site.gluster(`volume start ${VOLUME} force`)
      await site.gluster(`volume set ${VOLUME} cluster.self-heal-daemon on`)
      await healed(site)
      const compare = shape.includes('arbiter') ? NAMES : BRICK_TREE
      const first = await site.in('/data/brick1', compare)
      for (let brick = 2; brick <= bricks; brick++) {
        expect(await site.in(`/data/brick${brick}`, compare)).toBe(first)
      }
    },
    TEST_MS,
  )
})
