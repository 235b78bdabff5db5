import type { Clock } from '@ashlar/core'
import { expect, test } from 'vitest'
import { Linger } from './linger.ts'

/** A clock that goes on by a microsecond whenever it is read. */
function tickingClock(): Clock {
  let now = 0
  return {
    monotonic: () => (now += 0.001),
    wall: () => ({ sec: 0, nsec: 0 }),
    after: () => ({ cancel: () => {} }),
  }
}

async function turns(linger: Linger, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    linger.wait()
    await new Promise(resolve => setImmediate(resolve))
  }
}

test('a wait ends with the first request', () => {
  let polls = 0
  const linger = new Linger(tickingClock(), () => ++polls === 5)
  linger.wait()
  expect(polls).toBe(5)
})

test('a wait that brings nothing is short, and soon is not tried every time', async () => {
  let polls = 0
  const linger = new Linger(tickingClock(), () => {
    polls += 1
    return false
  })
  linger.wait()
  expect(polls).toBeGreaterThan(20)
  expect(polls).toBeLessThan(40)
  await turns(linger, 20)
  polls = 0
  await turns(linger, 160)
  expect(polls).toBeLessThan(12 * 40)
  expect(polls).toBeGreaterThan(0)
})

test('when requests come again it pays again', async () => {
  let answer = false
  let polls = 0
  const linger = new Linger(tickingClock(), () => {
    polls += 1
    return answer
  })
  await turns(linger, 50)
  answer = true
  await turns(linger, 400)
  polls = 0
  await turns(linger, 10)
  expect(polls).toBe(10)
})

test('the event loop gets its turn', async () => {
  let polls = 0
  const linger = new Linger(tickingClock(), () => {
    polls += 1
    return true
  })
  for (let i = 0; i < 1000; i++) linger.wait()
  expect(polls).toBeLessThan(100)
  await turns(linger, 1)
  linger.wait()
  expect(polls).toBeLessThan(200)
})
