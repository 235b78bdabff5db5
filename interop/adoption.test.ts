// A server with a started replicated volume: its glusterd is killed, one of the other kind takes over
// what runs, the self-heal daemon of a kind of its own; and back.
import { describe, expect, test } from 'vitest'
import { until } from '@ashlar/testkit'
import { type Kind, obstacle, Site, VOLUME } from './servers.ts'

const ONLINE_MS_MAX = 60_000

/** Rows of `volume status`: the process, and whether it is online. */
function rows(status: string): string[] {
  const lines = status.split('\n').filter(line => /^(Brick|Self-heal)/.test(line))
  return lines.map(line => line.replace(/^(.*?) {2,}.* ([YN]) +\d+ *$/, '$1 $2'))
}

const ALL_ONLINE = [
  'Brick server1:/data/brick1 Y',
  'Brick server1:/data/brick2 Y',
  'Brick server1:/data/brick3 Y',
  'Self-heal Daemon on localhost Y',
]

/** What processes tell of themselves. */
const TYPES = ['mem', 'inode', 'fd', 'callpool', 'clients']

/**
 * A brick's documents without what changes meanwhile: numbers, inodes, calls. GlusterFS's end after one
 * brick, since none tells of memory pools.
 */
async function documents(site: Site): Promise<string[]> {
  const texts: string[] = []
  for (const type of TYPES) {
    const text = await site.gluster(`volume status ${VOLUME} server1:/data/brick1 ${type} --xml`)
    texts.push(
      text
        .replace(/ *<(active|lru|purge|callStack)(\/>|>[^]*?<\/\1>)\n/g, '')
        .replace(/[-0-9a-f]{36}|\d+/g, 'N'),
    )
  }
  return texts
}

/** Pids of the bricks, and the program of the self-heal daemon. */
const PROCESSES = `
cat /run/gluster/vols/${VOLUME}/*.pid
tr '\\0' ' ' < /proc/$(cat /run/gluster/shd/${VOLUME}/${VOLUME}-shd.pid)/cmdline`

describe.skipIf(obstacle !== undefined)('a replicated volume goes on', () => {
  test.each([
    ['glusterfs', 'ours'],
    ['ours', 'glusterfs'],
  ] as const)('when glusterd of %s is replaced by that of %s, and back', async (first, second) => {
    await using site = await Site.start(first, 3, 'replica 3')
    const online = (): Promise<unknown> =>
      until('all are online', ONLINE_MS_MAX, async () => {
        const found = rows(await site.gluster(`volume status ${VOLUME}`))
        return found.length === ALL_ONLINE.length && found.every((row, n) => row === ALL_ONLINE[n])
      })
    await online()
    const before = await processes(site)
    let told: string[] | undefined
    for (const kind of [second, first] as Kind[]) {
      await site.replaceDaemon(kind)
      await online()
      const now = await processes(site)
      expect(now.bricks).toEqual(before.bricks)
      expect(now.healer).toContain('--process-name glustershd')
      if (kind === 'ours') expect(now.healer).toMatch(/node/)
      if (first === 'ours') {
        const expected = told
        told = await until('what a brick tells reads the same', ONLINE_MS_MAX, async () => {
          const now = await documents(site)
          if (expected !== undefined) expect(now).toEqual(expected)
          return now
        })
      }
      await until(
        'a heal is taken',
        ONLINE_MS_MAX,
        async () => (await site.run(`volume heal ${VOLUME}`)) === 0,
      )
    }
    await site.gluster(`volume stop ${VOLUME}`)
    const left = await site.in('/', "grep -l 'gluster[s]hd' /proc/[0-9]*/cmdline || true")
    expect(left.split('\n').filter(line => line !== '' && !line.includes('/self/'))).toEqual([])
  })
})

async function processes(site: Site): Promise<{ bricks: string[]; healer: string }> {
  const lines = (await site.in('/', PROCESSES)).split('\n')
  return { bricks: lines.slice(0, -1), healer: lines.at(-1) as string }
}
