/** The local file system that all bricks lie on: what can be had at all. */

import { mkdirSync } from 'node:fs'
import type { Target } from '../target.ts'

export function local(directory: string): Target {
  return {
    name: 'local',
    async start() {
      const path = `${directory}/local`
      mkdirSync(path, { recursive: true })
      return path
    },
    async stop() {},
  }
}
