/** File operations of every kind: what one client does, and what both must then see. */

export interface Operation {
  readonly name: string
  /** Run by one client in an empty folder. */
  readonly does: string
  /** Run by both clients there; the output is the same. */
  readonly shows: string
  readonly expected?: string
}

export const OPERATIONS: readonly Operation[] = [
  { name: 'create and write', does: 'echo hello > f', shows: 'cat f', expected: 'hello' },
  {
    name: 'a file of many megabytes',
    does: 'yes "some line of text" | head -c 9000001 > f',
    shows: 'stat -c %s f; sha256sum < f',
  },
  {
    name: 'append and overwrite',
    does: 'printf 0123456789 > f; printf ab >> f; printf X | dd of=f bs=1 seek=3 conv=notrunc 2>/dev/null',
    shows: 'cat f',
    expected: '012X456789ab',
  },
  {
    name: 'truncate, up and down',
    does: 'printf 0123456789 > f; truncate -s 4 f; truncate -s 8 f',
    shows: 'od -c f',
  },
  {
    name: 'directories in directories',
    does: 'mkdir -p a/b/c a/d; touch a/b/c/f; rmdir a/d',
    shows: 'find . | sort',
    expected: '.\n./a\n./a/b\n./a/b/c\n./a/b/c/f',
  },
  {
    name: 'thirty files over the bricks',
    does: 'for i in $(seq 30); do echo $i > file-$i; done; for i in $(seq 10); do rm file-$i; done',
    shows: 'ls | wc -l; cat file-* | sort -n | tail -1',
    expected: '20\n30',
  },
  {
    name: 'renames of files, also over others',
    does: 'for i in $(seq 20); do echo $i > old-$i; mv old-$i new-$i; done; echo x > x; mv x new-1',
    shows: 'ls | wc -l; cat new-1 new-20',
    expected: '20\nx\n20',
  },
  {
    name: 'renames of directories',
    does: 'mkdir d; touch d/f; mv d e; mkdir g; mv e g/h',
    shows: 'find . | sort',
    expected: '.\n./g\n./g/h\n./g/h/f',
  },
  {
    name: 'times that are set, which moves ctime',
    does: 'echo x > f; stat -c %z f > before; touch -d @1000000000 f',
    shows: '[ "$(stat -c %z f)" = "$(cat before)" ] || echo moved; stat -c %Y f',
    expected: 'moved\n1000000000',
  },
  {
    name: 'hard links, also of renamed files',
    does: 'echo x > a; ln a b; mv a renamed; ln renamed c; rm b',
    shows: 'ls; stat -c %h c; cat c',
    expected: 'c\nrenamed\n2\nx',
  },
  {
    name: 'symbolic links',
    does: 'mkdir d; echo x > d/f; ln -s d/f l; ln -s nowhere n',
    shows: 'readlink l n; cat l',
    expected: 'd/f\nnowhere\nx',
  },
  {
    name: 'special files',
    does: 'mkfifo p; mknod c c 1 3; mknod b b 7 8',
    shows: 'stat -c "%n %F %t %T" b c p',
  },
  {
    name: 'modes, owners, times',
    does: 'touch f; mkdir d; chmod 4751 f; chmod 2770 d; chown 12:34 f d; touch -d "2001-02-03 04:05:06.5 UTC" f d',
    shows: 'TZ=UTC stat -c "%n %a %u %g %y" d f',
  },
  {
    name: 'extended attributes',
    does: 'touch f; mkdir d; setfattr -n user.one -v 1 f d; setfattr -n user.two -v 0xdeadbeef00 f d; setfattr -x user.one d',
    shows: 'getfattr -d -e hex f d',
  },
  {
    name: 'allocation and holes',
    does: 'fallocate -l 100000 f; head -c 1M /dev/zero | tr "\\0" x > g; fallocate -p -o 4096 -l 8192 g; fallocate -z -o 65536 -l 4096 g',
    shows: 'stat -c %s f g; sha256sum f g',
  },
  {
    name: 'long and odd names',
    does: 'touch "$(printf "n%.0s" {1..255})" "a b" $\'new\\nline\' "grüße" $\'\\xff\\xfe\'',
    shows: 'ls -b',
  },
  {
    name: 'a removed tree',
    does: 'mkdir -p a/b; for i in $(seq 20); do touch a/b/$i a/$i; done; rm -r a',
    shows: 'ls -A | wc -l',
    expected: '0',
  },
  {
    name: 'an archive unpacked',
    does: 'mkdir s; for i in $(seq 40); do echo $i > s/$i; done; tar cf t.tar --warning=no-file-changed s || true; mkdir o; tar xf t.tar -C o',
    shows: 'diff -r s o/s && ls o/s | wc -l',
    expected: '40',
  },
  {
    name: 'a locked file',
    does: 'exec 9> f; flock -x 9; echo locked >&9',
    shows: 'flock -n -x f cat f',
    expected: 'locked',
  },
]
