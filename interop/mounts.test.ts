// Mounts of both kinds on volumes of both kinds, at once: whatever one does, the other sees the same.
import { until } from '@ashlar/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OPERATIONS } from './operations.ts'
import { type Kind, obstacle, Site, TREE, VOLUME } from './servers.ts'

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

/** What a client writes into its log with every new graph. */
const SWITCHED: Readonly<Record<Kind, string>> = {
  ours: 'switched to a new graph',
  glusterfs: 'switched to graph',
}
/** Locks a file, and tells for each line that it is given whether it can still be used. */
const HOLD = `
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX)
while True:
    with open('ask') as ask:
        line = ask.read().strip()
    try:
        os.pwrite(fd, b'used', 0)
        os.fsync(fd)
        said = os.pread(fd, 4, 0).decode()
    except OSError as problem:
        said = problem.strerror
    with open('said', 'w') as answer:
        answer.write(said)
    if line == 'end':
        break
`
/** Whether another process gets the lock. */
const ASK = `
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('free')
except BlockingIOError:
    print('held')
`

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

    test.each(PAIRS)(
      'a lock of %s is held over a change of the graph',
      async (holder, onlooker) => {
        const log = `/var/log/mount-${holder}.log`
        // A client of GlusterFS goes over with the first request.
        const switches = async (): Promise<number> =>
          Number(
            await site.in(MOUNTS[holder], `ls >&2; grep -c '${SWITCHED[holder]}' ${log} || true`),
          )
        const folder = `/run/lock-of-${holder}`
        const name = `held-by-${holder}`
        const ask = (line: string): Promise<string> =>
          site.in(folder, `echo ${line} > ask; cat said`)
        const found = async (): Promise<string[]> => [
          await site.in(MOUNTS[holder], `python3 -c "${ASK}" ${name}`),
          await site.in(MOUNTS[onlooker], `python3 -c "${ASK}" ${name}`),
        ]
        await site.in('/run', `mkdir ${folder}; mkfifo ${folder}/ask ${folder}/said`)
        await site.in(
          folder,
          `nohup python3 -c "${HOLD}" ${MOUNTS[holder]}/${name} > /dev/null 2>&1 < /dev/null &`,
        )
        expect(await ask('use')).toBe('used')
        expect(await found()).toEqual(['held', 'held'])
        const before = await switches()
        const value = holder === 'ours' ? 'on' : 'off'
        await site.gluster(`volume set ${VOLUME} performance.quick-read ${value}`)
        await until('the client goes over', 30_000, async () => (await switches()) > before)
        expect(await ask('use')).toBe('used')
        expect(await found()).toEqual(['held', 'held'])
        expect(await ask('end')).toBe('used')
        await until('the lock is gone', 5_000, async () => {
          expect(await found()).toEqual(['free', 'free'])
          return true
        })
      },
    )

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
