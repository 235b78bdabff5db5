// What mount(8) runs for file systems of type glusterfs. Link it into /sbin.
import { fileURLToPath } from 'node:url'
import { load } from './load.mjs'

const { runMountHelper } = await load('glusterfs/mount-helper.js')
process.exit(
  runMountHelper(fileURLToPath(new URL('glusterfs', import.meta.url)), process.argv.slice(2)),
)
