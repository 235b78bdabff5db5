import { existsSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { FakeClock, TestVolume, until } from '@ashlar/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { posix } from './index.ts'

const INTERVAL_S = 30

let root: string
let volume: TestVolume
let clock: FakeClock
let checked: string

beforeEach(async () => {
  root = await mkdtemp(`${tmpdir()}/health-`)
  checked = `${root}/.glusterfs/health_check`
  clock = new FakeClock()
  volume = await TestVolume.start({
    brick: true,
    env: { clock },
    definitions: [posix],
    volfile: `
volume p
  type storage/posix
  option directory ${root}
  option health-check-interval ${INTERVAL_S}
end-volume`,
  })
})
afterEach(async () => {
  await volume.stop()
  await rm(root, { recursive: true })
})

const told = (): string[] =>
  volume.events.map(event => event.kind).filter(kind => kind.startsWith('child-'))

async function untilTold(expected: readonly string[]): Promise<void> {
  await until(`it says ${expected.join(', ')}`, 5000, () => {
    clock.advance(INTERVAL_S * 1000)
    return told().length >= expected.length
  })
  expect(told()).toEqual(expected)
}

/** What the check writes goes elsewhere from now on, whatever check is under way. */
function redirect(target: string): void {
  symlinkSync(target, `${root}/redirected`)
  renameSync(`${root}/redirected`, checked)
}

it('fails with its disk, and comes back with it', async () => {
  redirect('/nowhere/at/all')
  await untilTold(['child-up', 'child-down'])
  unlinkSync(checked)
  await untilTold(['child-up', 'child-down', 'child-up'])
})

// A brick that was full at such a moment was gone for good.
it('has not failed when its disk is full', async () => {
  redirect('/dev/full')
  for (let checks = 0; checks < 3; checks++) {
    clock.advance(INTERVAL_S * 1000)
    await new Promise(resolve => setImmediate(resolve))
  }
  unlinkSync(checked)
  await until('it has been checked again', 5000, () => {
    clock.advance(INTERVAL_S * 1000)
    return existsSync(checked)
  })
  redirect('/nowhere/at/all')
  await untilTold(['child-up', 'child-down'])
})
