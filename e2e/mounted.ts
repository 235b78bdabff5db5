/** What end-to-end tests of mounts share: a cluster for a file of tests, or the reason for none. */

import { Cluster, type Mount, mountObstacle } from '@ashlar/testkit'
import { afterAll, beforeAll } from 'vitest'

/** Why mounts cannot be tested here; printed once for each file of tests. */
export const obstacle = mountObstacle()
if (obstacle !== undefined) process.stderr.write(`no mounts in this test: ${obstacle}\n`)

/** A cluster with one started volume, `gv0`, and a mount of it, for all tests of a file. */
export function mountedVolume(
  bricks: number,
  options: Readonly<Record<string, string>> = {},
): { readonly cluster: Cluster; readonly mount: Mount; at: (...names: string[]) => string } {
  let cluster: Cluster | undefined
  let mount: Mount | undefined
  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.volume('gv0', bricks, options)
    mount = await cluster.mount('gv0')
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  return {
    get cluster(): Cluster {
      if (cluster === undefined) throw new Error('the cluster has not started')
      return cluster
    },
    get mount(): Mount {
      if (mount === undefined) throw new Error('the volume is not mounted')
      return mount
    },
    at(...names) {
      return [this.mount.path, ...names].join('/')
    },
  }
}
