// How a mounted volume behaves to programs: what POSIX says of names, attributes, links, locks,
// holes and open files. The whole of pjdfstest is run by hand: docs/posix.md.
import * as fs from 'node:fs/promises'
import { succeed } from '@ashlar/testkit'
import { describe, expect, test } from 'vitest'
import { mountedVolume, obstacle } from './mounted.ts'

describe.skipIf(obstacle !== undefined)('a mount', () => {
  const volume = mountedVolume(2)
  /** A script in a directory of its own; its last line must be as expected. */
  const shell = async (script: string): Promise<string> => {
    const directory = await fs.mkdtemp(volume.at('case-'))
    return (await succeed('bash', ['-ec', script], { cwd: directory })).trim()
  }

  test('a file that is removed while open stays readable and writable', async () => {
    const handle = await fs.open(volume.at('gone'), 'w+')
    await handle.write('still')
    await fs.unlink(volume.at('gone'))
    await handle.write(' here')
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(20), 0, 20, 0)
    expect(String(buffer.subarray(0, bytesRead))).toBe('still here')
    expect((await handle.stat()).nlink).toBe(0)
    await handle.close()
  })

  test('modes, owners and times', async () => {
    expect(await shell('touch f; chmod 4711 f; chown 12:34 f; stat -c "%a %u %g" f')).toBe(
      '711 12 34',
    )
    expect(await shell('touch -d "2001-02-03 04:05:06.789 UTC" f; TZ=UTC stat -c %y f')).toBe(
      '2001-02-03 04:05:06.789000000 +0000',
    )
    expect(await shell('mkdir -m 2775 d; mkdir d/e; stat -c %a d/e')).toBe('2755')
  })

  test('hard links, symbolic links, special files', async () => {
    expect(await shell('echo x > a; ln a b; ln b c; rm a; stat -c %h c; cat b')).toBe('2\nx')
    expect(await shell('ln -s nowhere l; readlink l; test ! -e l && stat -c %F l')).toBe(
      'nowhere\nsymbolic link',
    )
    expect(
      await shell('mkfifo p; mknod c c 1 3; stat -c "%F %t,%T" p c; (echo hi > p &); cat p'),
    ).toBe('fifo 0,0\ncharacter special file 1,3\nhi')
  })

  test('renames: over files, over directories, into itself', async () => {
    expect(await shell('echo a > a; echo b > b; mv a b; ls; cat b')).toBe('b\na')
    expect(await shell('mkdir d e; touch d/f; mv -T d e; ls e')).toBe('f')
    expect(
      await shell('mkdir d e; touch e/f; mv -T d e 2>&1 | grep -o "Directory not empty"'),
    ).toBe('Directory not empty')
    expect(await shell('mkdir d; mv d d/e 2>&1 | grep -c "subdirectory of itself"')).toBe('1')
  })

  test('who may write both directories moves other people’s files, wherever their names hash', async () => {
    const moved = await shell(
      'chmod 755 .; mkdir from to; chown 1234 from to; touch from/f{1..20}; chown 4321 from/*; ' +
        'setpriv --reuid=1234 --regid=1234 --clear-groups ' +
        'bash -ec "for i in {1..20}; do mv from/f\\$i to/g\\$i; mv to/g\\$i from/h\\$i; done"; ' +
        'ls from to | wc -w; stat -c %u from/* | sort -u',
    )
    // Twenty files and the headings of two directories.
    expect(moved).toBe('22\n4321')
  })

  test('every byte of a name is kept', async () => {
    const script = String.raw`n=$(printf 'caf\xe9 \n tab\t'); touch "$n"; ls -b; rm "$n"; ls`
    expect(await shell(script)).toBe(String.raw`caf\351\ \n\ tab\t`)
    expect(await shell('touch $(printf "n%.0s" {1..255}); ls | wc -c')).toBe('256')
    expect(await shell('touch $(printf "n%.0s" {1..256}) 2>&1 | grep -c "too long"')).toBe('1')
  })

  test('holes, allocation, truncation', async () => {
    expect(
      await shell('truncate -s 10M f; stat -c "%s" f; test $(stat -c %b f) -lt 32 && echo sparse'),
    ).toBe('10485760\nsparse')
    expect(await shell('fallocate -l 1M f; test $(stat -c %b f) -ge 2048 && stat -c %s f')).toBe(
      '1048576',
    )
    expect(
      await shell(
        'head -c 1M /dev/urandom > f; fallocate -p -o 0 -l 512K f; cmp -n 524288 f /dev/zero && stat -c %s f',
      ),
    ).toBe('1048576')
    expect(
      await shell(
        'head -c 64K /dev/urandom > f; fallocate -z -o 4K -l 8K f; cmp -i 4096:0 -n 8192 f /dev/zero && echo zero',
      ),
    ).toBe('zero')
  })

  test('extended attributes', async () => {
    expect(
      await shell(
        'touch f; setfattr -n user.a -v 1 f; setfattr -n user.b -v 2 f; setfattr -x user.a f; getfattr --absolute-names -d f | grep user',
      ),
    ).toBe('user.b="2"')
    expect(await shell('touch f; getfattr -n user.none f 2>&1 | grep -c "No such attribute"')).toBe(
      '1',
    )
  })

  test('appenders do not overwrite each other', async () => {
    expect(
      await shell(
        'for w in 1 2 3 4; do (for i in $(seq 50); do echo $w-$i >> log; done) & done; wait; sort -u log | wc -l; wc -l < log',
      ),
    ).toBe('200\n200')
  })

  test('opening to truncate is seen at once', async () => {
    expect(await shell('echo hello > t; stat -c %s t; : > t; stat -c %s t')).toBe('6\n0')
  })

  test('locks exclude, and end with their holder', async () => {
    expect(
      await shell(
        'exec 9> lock; flock -x 9; flock -n -x lock true || echo held; exec 9>&-; flock -w 5 -x lock echo free',
      ),
    ).toBe('held\nfree')
  })

  test('a big file, written and read in odd sizes, is the same', async () => {
    expect(
      await shell(
        'head -c 20000003 /dev/urandom > /tmp/$$.src; dd if=/tmp/$$.src of=f bs=70001 2>/dev/null; dd if=f bs=130003 2>/dev/null | cmp - /tmp/$$.src && echo same; rm /tmp/$$.src',
      ),
    ).toBe('same')
  })

  test('an archive is unpacked, listed, found and removed', async () => {
    const made = await shell(
      'mkdir src; for d in $(seq 20); do mkdir src/$d; for f in $(seq 20); do echo $d/$f > src/$d/$f; done; done; tar cf a.tar src; mkdir out; tar xf a.tar -C out; diff -r src out/src && find out -type f | wc -l; rm -rf out src; ls',
    )
    expect(made).toBe('400\na.tar')
  })

  test('a directory of thousands of entries lists each once', async () => {
    expect(
      await shell(
        'mkdir d; (cd d; seq 3000 | xargs touch); ls d | sort -u | wc -l; ls -l d | grep -c ^-',
      ),
    ).toBe('3000\n3000')
  })

  test('permissions are kept for users', async () => {
    expect(
      await shell(
        'chmod 755 .; echo secret > f; chmod 600 f; setpriv --reuid=1234 --regid=1234 --clear-groups cat f 2>&1 | grep -o "Permission denied"',
      ),
    ).toBe('Permission denied')
    expect(
      await shell(
        'chmod 1777 .; touch mine; setpriv --reuid=1234 --regid=1234 --clear-groups rm -f mine 2>&1 | grep -o "Operation not permitted"; ls',
      ),
    ).toBe('Operation not permitted\nmine')
  })
})
