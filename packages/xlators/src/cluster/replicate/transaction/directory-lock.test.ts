import { failure, Errno } from '@ashlar/core'
import { BrickSet, good, type SetGraph, until, within } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { replicate } from '../index.ts'

const DONE_MS = 8000

let bricks: BrickSet
let client: SetGraph
beforeEach(async () => {
  bricks = await BrickSet.start({ count: 3 })
  client = await bricks.join(replicate, { 'quorum-type': 'auto' })
})
afterEach(() => bricks.stop())

// Found by simulation: the client kept the lock of the directory on the others, did not use it, and
// waited for the lock of the name.
it('does not keep a lock that a brick was lost over', async () => {
  let asked = false
  let answer: (value: ReturnType<typeof failure>) => void = () => {}
  client.meddler(0).interfere(fop => {
    if (fop !== 'entrylk' || asked) return undefined
    asked = true
    return new Promise(resolve => {
      answer = resolve
    })
  })
  const making = client.volume.mkdir('/directory')
  await until('the lock is asked for', DONE_MS, () => asked)
  await client.cut(0)
  answer(failure(Errno.ENOTCONN))
  good(await within('it is made', DONE_MS, making))
  expect(await bricks.brick(1).names('/')).toEqual(['directory'])
})
