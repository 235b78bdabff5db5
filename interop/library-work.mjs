// Run inside a machine by library.test.ts: the library does a bit of everything on a volume and
// tells what it saw, as JSON.
import { connect } from 'ashlar'

const [server, name] = process.argv.slice(2)
const volume = await connect({ server, volume: name })
const seen = {}

await volume.mkdir('/lib/a/b', { recursive: true })
await volume.writeFile('/lib/text', 'grüße')
const big = Buffer.alloc(5_000_003, 'pattern ')
await volume.writeFile('/lib/a/big', big)
seen.bigIsSame = (await volume.readFile('/lib/a/big')).equals(big)
for (let i = 0; i < 50; i++) await volume.writeFile(`/lib/a/b/${i}`, String(i))
seen.entries = (await volume.readdir('/lib/a/b')).length
await volume.rename('/lib/text', '/lib/a/renamed')
await volume.link('/lib/a/renamed', '/lib/linked')
await volume.symlink('a/renamed', '/lib/symbolic')
seen.text = await volume.readFile('/lib/symbolic', 'utf8')
seen.links = (await volume.stat('/lib/linked')).nlink
await volume.chmod('/lib/linked', 0o640)
await volume.chown('/lib/linked', 12, 34)
await volume.utimes('/lib/linked', 1000, 2000)
const { mode, uid, gid, mtimeMs } = await volume.stat('/lib/linked')
seen.attributes = [mode.toString(8), uid, gid, mtimeMs]
await volume.xattrs.set('/lib', 'user.note', 'from the library')
seen.xattr = String(await volume.xattrs.get('/lib', 'user.note'))
await volume.truncate('/lib/a/big', 1000)
const handle = await volume.open('/lib/a/big', 'a+')
await handle.write('END')
seen.end = String((await handle.read(Buffer.alloc(3), 0, 3, 1000)).buffer)
await handle.sync()
await handle.close()
await volume.rm('/lib/a/b', { recursive: true })
seen.left = (await volume.readdir('/lib', { recursive: true })).sort()
seen.error = await volume.readFile('/lib/none').catch(error => `${error.code} ${error.syscall}`)
seen.hasSpace = (await volume.statfs()).bavail > 0
await volume.unmount()
process.stdout.write(JSON.stringify(seen))
