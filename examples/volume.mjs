// What libgfapi's bindings show first, with Ashlar's library: no mount, no native library.
//
//   node examples/volume.mjs VOLUME [SERVER [PORT]]
import { fileURLToPath } from 'node:url'
import { connect, Directory, File } from 'ashlar'

const [name = 'gv0', server = 'localhost', port = '24007'] = process.argv.slice(2)

// Create virtual mount
const volume = await connect({ server, port: Number(port), volume: name })

// Create a new directory
const directory = new Directory(volume, '/some_dir')
await directory.create()

// Create a file from string or bytes
const file = new File(volume, '/some_dir/path')
const size = await file.write('some data\n')
console.log(`Written ${size} bytes`)

// Copy an existing file to the volume
const copy = new File(volume, '/some_dir/copy')
const copied = await copy.writeFile(fileURLToPath(import.meta.url))
console.log(`Written ${copied} bytes`)

// Read a file
const contents = await file.read('utf8')
console.log(contents.trimEnd())

// Unmount virtual mount
await volume.unmount()
