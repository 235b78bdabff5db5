// Programs over libgfapi on our volume, and our library on GlusterFS's.
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Kind, obstacle, Site } from './servers.ts'

const QEMU = ['/usr/lib/x86_64-linux-gnu/qemu/block-gluster.so', '/usr/bin/qemu-img'].every(file =>
  existsSync(file),
)
const FIO = existsSync('/usr/bin/fio')
const required = process.env['ASHLAR_INTEROP'] === 'required'
if (obstacle === undefined && !(QEMU && FIO)) {
  const problem = 'qemu-utils, qemu-block-extra or fio is not installed'
  if (required) throw new Error(`interop is required, but ${problem}`)
  process.stderr.write(`no libgfapi in this test: ${problem}\n`)
}
const DISK = 'gluster://server1/gv0/disk.qcow2'
/** glfs_fini of GlusterFS 10 waits for ten seconds, whoever serves. */
const PATIENCE_MS = 240_000

describe.skipIf(obstacle !== undefined)('programs over libgfapi on our volume', () => {
  let site: Site
  beforeAll(async () => {
    site = await Site.start('ours', 2)
    await site.mount('ours', '/mnt/ours')
  })
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]()
  })

  test.skipIf(!QEMU)('qemu-img and qemu-io', { timeout: PATIENCE_MS }, async () => {
    await site.in('/', `qemu-img create -f qcow2 ${DISK} 64M 2>&1`)
    const io = await site.in(
      '/',
      `qemu-io -c "write -P 0xab 0 4M" -c "write -z 1M 64k" -c "discard 2M 1M" -c flush \
-c "read -P 0xab 64k 64k" -c "read -P 0 1M 64k" -c "write -P 0xcd 60M 1M" ${DISK} 2>/dev/null`,
    )
    expect(io).not.toMatch(/failed|verification/i)
    expect(io.match(/^(wrote|read|discard) /gm)).toHaveLength(6)
    const map = await site.in('/', `qemu-img check -f qcow2 /mnt/ours/disk.qcow2`)
    expect(map).toContain('No errors were found')
    expect(await site.in('/', 'qemu-io -r -c "read -P 0xcd 60M 1M" /mnt/ours/disk.qcow2')).toMatch(
      /^read 1048576/m,
    )
  })

  test.skipIf(!FIO)('fio, verifying what it reads', { timeout: PATIENCE_MS }, async () => {
    const out = await site.in(
      '/tmp',
      'fio --name=t --ioengine=gfapi --volume=gv0 --brick=server1 --filename=fio --rw=randrw --bs=16k --size=8M --verify=crc32c --do_verify=1 2>&1',
    )
    expect(out).toContain('err= 0')
    expect(await site.in('/mnt/ours', 'stat -c %s fio')).toBe('8388608')
  })
})

describe.skipIf(obstacle !== undefined).each([
  { server: 'glusterfs', bricks: 1 },
  { server: 'glusterfs', bricks: 2 },
  { server: 'glusterfs', bricks: 3 },
  { server: 'ours', bricks: 3 },
] as readonly { server: Kind; bricks: number }[])(
  'our library on a volume of $server, bricks: $bricks',
  ({ server, bricks }) => {
    test('does a bit of everything, and a mount of GlusterFS sees it', async () => {
      await using site = await Site.start(server, bricks)
      const out = await site.machine.script('node interop/library-work.mjs server1 gv0')
      expect(JSON.parse(out)).toEqual({
        bigIsSame: true,
        entries: 50,
        text: 'grüße',
        links: 2,
        attributes: ['100640', 12, 34, 2_000_000],
        xattr: 'from the library',
        end: 'END',
        left: ['a', 'a/big', 'a/renamed', 'linked', 'symbolic'],
        error: 'ENOENT open',
        hasSpace: true,
      })
      await site.mount('glusterfs', '/mnt/glusterfs')
      expect(
        await site.in(
          '/mnt/glusterfs/lib',
          'cat symbolic; echo; stat -c "%s %a %u %g %h" a/big linked; getfattr --only-values -n user.note .',
        ),
      ).toBe('grüße\n1003 644 0 0 1\n7 640 12 34 2\nfrom the library')
      expect(await site.machine.script('node examples/volume.mjs gv0 server1')).toContain(
        'some data',
      )
    })
  },
)
