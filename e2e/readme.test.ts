// Every command that README.md shows is run here, as it stands there, with the system's own paths:
// in namespaces of its own, on copies of the folders it writes to.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Machine, machineObstacle } from '@ashlar/testkit'
import { describe, expect, test } from 'vitest'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const README = readFileSync(join(CHECKOUT, 'README.md'), 'utf8')

/** Commands of a document's blocks, in order. */
function blocksOf(document: string): string[] {
  return [...document.matchAll(/^```sh\n([^]*?)^```$/gm)].map(match => match[1] as string)
}

const BLOCKS = blocksOf(README)

const blocked = machineObstacle()
if (blocked !== undefined) process.stderr.write(`no machine in this test: ${blocked}\n`)

async function inMachine(script: string): Promise<string> {
  await using machine = await Machine.start()
  return await machine.script(script)
}

describe('README', () => {
  test('has the commands that are tested', () => {
    expect(BLOCKS).toHaveLength(3)
    // The first is run by .ci/run and e2e/quick-start.test.ts, the third is what runs this.
    expect(BLOCKS[0]).toBe('npm ci\nnpm start\n')
    expect(BLOCKS[2]).toBe('npm test\n')
  })

  test.skipIf(blocked !== undefined)('a server', async () => {
    const out = await inMachine(`
${BLOCKS[1]}
diff -r docs /mnt/docs
stat -f -c %T /mnt
umount /mnt
gluster --mode=script volume stop gv0
`)
    expect(out).toContain('volume create: gv0: success: please start the volume to access data')
    expect(out).toContain('volume start: gv0: success')
    expect(out).toContain('volume set: success')
    expect(out).toContain('performance.cache-size: 256MB')
    expect(out).toContain('fuse')
    expect(out).toContain('volume stop: gv0: success')
  })

  test.skipIf(blocked !== undefined)('installing, and a user of fstab', async () => {
    const [install] = blocksOf(readFileSync(join(CHECKOUT, 'docs/operating.md'), 'utf8'))
    expect(install).toMatch(/^npm ci\nnpm run build\n/)
    const out = await inMachine(`
${(install as string).replace(/^npm ci\nnpm run build\n/, '')}
export PATH="/usr/local/sbin:$PATH"
cd /
gluster --version | head -1
glusterd
gluster volume create gv0 server1:/data/gv0
gluster volume start gv0
echo "server1:/gv0 /mnt glusterfs defaults,_netdev,nosuid,nodev,noexec,log-level=WARNING 0 0" >> /etc/fstab
mount /mnt
grep " /mnt " /proc/mounts | grep -o "nosuid,nodev,noexec"
printf '#!/bin/sh\necho ran\n' > /mnt/program
chmod 755 /mnt/program
/mnt/program 2>&1 | grep -o 'Permission denied'
mkdir /mnt/part
echo inside > /mnt/part/file
umount /mnt
mount -t glusterfs -o ro,backup-volfile-servers=server2 server1:/gv0/part /mnt
cat /mnt/file
touch /mnt/new 2>&1 | grep -o 'Read-only file system'
umount /mnt
`)
    expect(out).toMatch(/^glusterfs 10\.3/)
    expect(out).toMatch(/nosuid,nodev,noexec\nPermission denied\ninside\nRead-only file system\n$/)
  })

  test.skipIf(blocked !== undefined)("GlusterFS's own first steps, as typed", async () => {
    const out = await inMachine(`
export PATH="$PWD/bin:$PATH"
ln -sf "$PWD/bin/mount.glusterfs" /sbin/mount.glusterfs
mkdir -p /data/brick1
head -c 50000 /dev/urandom > /var/log/messages
glusterd
gluster volume create gv0 server1:/data/brick1/gv0
gluster volume start gv0
mount -t glusterfs server1:/gv0 /mnt
  for i in \`seq -w 1 100\`; do cp -rp /var/log/messages /mnt/copy-test-$i; done
gluster volume set gv0 performance.cache-size 256MB
ls /mnt | wc -l
for copy in /mnt/copy-test-*; do cmp /var/log/messages $copy; done
gluster volume info
umount /mnt
`)
    expect(out).toMatch(/^100$/m)
    expect(out).toContain('Brick1: server1:/data/brick1/gv0')
  })
})
