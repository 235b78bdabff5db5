/**
 * Every volfile of a volume, by its name in `vols/VOL/`.
 */

import { brickVolfileName, leafCount, type Volume } from '../volume/volume.ts'
import { type BrickPlace, brickVolfile } from './brick.ts'
import {
  clientVolfile,
  gfproxyClientVolfile,
  gfproxyServerVolfile,
  healVolfile,
  rebalanceVolfile,
} from './client.ts'

/** File name → text. */
export function volumeVolfiles(volume: Volume, place: BrickPlace): Map<string, string> {
  const { name } = volume
  const files = new Map<string, string>()
  for (const [index, brick] of volume.bricks.entries()) {
    files.set(`${brickVolfileName(volume, brick)}.vol`, brickVolfile(volume, index, place))
  }
  files.set(`${name}.tcp-fuse.vol`, clientVolfile(volume, 'plain'))
  files.set(`trusted-${name}.tcp-fuse.vol`, clientVolfile(volume, 'trusted'))
  files.set(`${name}.gfproxyd.vol`, gfproxyServerVolfile(volume))
  files.set(`trusted-${name}.tcp-gfproxy-fuse.vol`, gfproxyClientVolfile(volume))
  const heal = healVolfile(volume)
  if (heal !== undefined) files.set(`${name}-shd.vol`, heal)
  if (volume.bricks.length > leafCount(volume)) {
    files.set(`${name}-rebalance.vol`, rebalanceVolfile(volume))
  }
  return files
}
