/**
 * Names and command lines of brick processes against those of GlusterFS 10.3.
 */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { resolveSettings } from '../settings.ts'
import { parseKeyFile } from '../store/key-file.ts'
import { volumeFromLines } from '../store/volume-file.ts'
import { loadSocketNamer } from './socket-name.ts'
import { healSpec } from '../heal/spec.ts'
import { brickSpec } from './spec.ts'

const recordings = JSON.parse(
  gunzipSync(readFileSync(new URL('../../fixtures/volfiles.json.gz', import.meta.url))).toString(),
) as Record<string, { volume: string; files: Record<string, string> }>

describe('the command line of the self-heal daemon', () => {
  const healing = Object.entries(recordings).filter(([, { files }]) =>
    files['daemon-command-lines.txt']?.includes('glustershd'),
  )
  it.each(healing)('is as recorded for %s', async (_, { volume, files }) => {
    const namer = await loadSocketNamer()
    const settings = resolveSettings({}, {}, '/usr/sbin/glusterfsd')
    const recorded = (files['daemon-command-lines.txt'] as string)
      .split('\n')
      .filter(line => line.includes('glustershd') && line.includes(`shd/${volume} `))
    expect(recorded.length).toBeGreaterThan(0)
    const [, uuid] = /node-uuid=(\S+)/.exec(recorded[0] as string) as unknown as [string, string]
    const { words } = healSpec(settings, uuid, namer, volume)
    expect(`/usr/sbin/glusterfs ${words.join(' ')}`).toBe(recorded[0])
  })
})

describe('the command line of a brick', () => {
  it.each(Object.entries(recordings))('is as recorded for %s', async (_, { volume, files }) => {
    const namer = await loadSocketNamer()
    const settings = resolveSettings({}, {}, '/usr/sbin/glusterfsd')
    const definition = volumeFromLines(volume, parseKeyFile(files['info'] as string), file =>
      parseKeyFile(files[`bricks/${file}`] as string),
    )
    const recorded = (files['daemon-command-lines.txt'] as string)
      .split('\n')
      .filter(line => line.includes('--process-name brick '))
    expect(recorded.length).toBeGreaterThan(0)
    const ours = definition.bricks.map(brick => {
      const { words } = brickSpec(settings, brick.peer, namer, definition, brick, brick.port)
      return `/usr/sbin/glusterfsd ${words.join(' ')}`
    })
    expect(ours.sort()).toEqual(recorded.sort())
  })
})
