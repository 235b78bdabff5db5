/**
 * Volfiles and stored definitions against recordings of GlusterFS 10.3, byte for byte.
 */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { infoChecksum } from '../store/checksum.ts'
import { parseKeyFile, printKeyFile } from '../store/key-file.ts'
import { brickFileName, brickLines, volumeFromLines, volumeLines } from '../store/volume-file.ts'
import type { Volume } from '../volume/volume.ts'
import { volumeVolfiles } from './files.ts'

interface Recording {
  volume: string
  files: Record<string, string>
}

const recordings = JSON.parse(
  gunzipSync(readFileSync(new URL('../../fixtures/volfiles.json.gz', import.meta.url))).toString(),
) as Record<string, Recording>

/** Not generated yet: translators under debug.* and the files of features that do not exist here. */
const NOT_YET: Readonly<Record<string, RegExp>> = {
  'replica-2-features': /./,
  'distribute-2-quota-bitrot': /\.client\./,
}

function volumeOf(recording: Recording): Volume {
  const file = (name: string): string => recording.files[name] as string
  return volumeFromLines(recording.volume, parseKeyFile(file('info')), brick =>
    parseKeyFile(file(`bricks/${brick}`)),
  )
}

describe.each(Object.entries(recordings))('%s', (name, recording) => {
  const volume = volumeOf(recording)

  it('is stored in the same text', () => {
    expect(printKeyFile(volumeLines(volume))).toBe(recording.files['info'])
    for (const brick of volume.bricks) {
      expect(printKeyFile(brickLines(brick))).toBe(
        recording.files[`bricks/${brickFileName(brick)}`],
      )
    }
    expect(`info=${infoChecksum(recording.files['info'] as string)}\n`).toBe(
      recording.files['cksum'],
    )
  })

  const skip = NOT_YET[name]
  const recorded = Object.keys(recording.files).filter(
    file => file.endsWith('.vol') && skip?.test(file) !== true,
  )
  const place = {
    workDirectory: '/var/lib/glusterd',
    peer: volume.bricks[0]?.peer as string,
  }
  it.runIf(recorded.length > 0)('has the same volfiles', () => {
    const ours = volumeVolfiles(volume, place)
    for (const file of recorded) {
      expect(`${file}\n${ours.get(file)}`).toBe(`${file}\n${recording.files[file]}`)
    }
    expect([...ours.keys()].sort()).toEqual(recorded.sort())
  })
})
