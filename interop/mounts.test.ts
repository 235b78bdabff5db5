// Mounts of both kinds on volumes of both kinds, at once: whatever one does, the other sees the same.
import { until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OPERATIONS } from './operations.ts'
import { type Kind, obstacle, Site, TREE } from './servers.ts'

const SITES: readonly { readonly server: Kind; readonly bricks: number }[] = [
  { server: 'ours', bricks: 2 },
  { server: 'glusterfs', bricks: 1 },
  { server: 'glusterfs', bricks: 2 },
  { server: 'glusterfs', bricks: 3 },
]
const MOUNTS: Readonly<Record<Kind, string>> = { ours: '/mnt/ours', glusterfs: '/mnt/glusterfs' }
const PAIRS: readonly (readonly [Kind, Kind])[] = [
  ['glusterfs', 'ours'],
  ['ours', 'glusterfs'],
]

describe.skipIf(obstacle !== undefined).each(SITES)(
  'a volume of $server, bricks: $bricks',
  where => {
    let site: Site
    beforeAll(async () => {
      site = await Site.start(where.server, where.bricks)
      for (const kind of ['ours', 'glusterfs'] as const) await site.mount(kind, MOUNTS[kind])
    })
    afterAll(async () => {
      await site?.[Symbol.asyncDispose]()
    })

    describe.each(PAIRS)('a mount of %s works, one of %s looks on', (worker, onlooker) => {
      test.each(OPERATIONS.map((operation, i) => [operation.name, i] as const))(
        '%s',
        async (_name, i) => {
          const { does, shows, expected } = OPERATIONS[i] as (typeof OPERATIONS)[number]
          const folder = `case-${worker}-${i}`
          await site.in(MOUNTS[worker], `mkdir ${folder}; cd ${folder}; ${does}`)
          const own = await site.in(`${MOUNTS[worker]}/${folder}`, shows)
          const other = await site.in(`${MOUNTS[onlooker]}/${folder}`, shows)
          expect(other).toBe(own)
          if (expected !== undefined) expect(other).toBe(expected)
        },
      )
    })

    test('both work on the same files at the same time', async () => {
      const work = (kind: Kind): Promise<string> =>
        site.in(
          MOUNTS[kind],
          `mkdir -p both; cd both; for i in $(seq 40); do echo ${kind} $i > ${kind}-$i; echo ${kind} $i >> log-${kind}; mv ${kind}-$i done-${kind}-$i; done`,
        )
      await Promise.all([work('ours'), work('glusterfs')])
      for (const kind of ['ours', 'glusterfs'] as const) {
        expect(
          await site.in(
            `${MOUNTS[kind]}/both`,
            'ls | wc -l; cat done-* | sort | uniq | wc -l; cat log-* | wc -l',
          ),
        ).toBe('82\n80\n80')
      }
    })

    test('the whole tree is the same in both', async () => {
      // What one client has changed last, the other knows after its caches' second.
      const same = await until('both see the same', 20_000, async () => {
        const ours = await site.in(MOUNTS.ours, TREE)
        expect(ours).toBe(await site.in(MOUNTS.glusterfs, TREE))
        return ours
      })
      expect(same.split('\n').length).toBeGreaterThan(500)
    })
  },
)
