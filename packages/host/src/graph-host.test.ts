import {
  type AnyXlatorDefinition,
  defineXlator,
  type Graph,
  type Log,
  offlineNetwork,
  systemClock,
  systemRandom,
} from '@ashlar/core'
import { within } from '@ashlar/testkit'
import { expect, it } from 'vitest'
import { GraphHost } from './graph-host.ts'
import { processInfo } from './process-environment.ts'

const ENDED_MS_MAX = 5000
const silent: Log = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warning: () => {},
  error: () => {},
  critical: () => {},
  child: () => silent,
  setLevel: () => {},
}

/** A host of graphs of one kind of translator, which tells the names of those that are stopped. */
function makeHost(onSwitch: (next: Graph) => Promise<void>): {
  host: GraphHost
  stopped: string[]
} {
  const stopped: string[] = []
  const plain = defineXlator({
    type: 'testing/plain',
    options: {},
    create: self => ({
      stop: () => {
        stopped.push(self.name)
      },
    }),
  })
  const env = { clock: systemClock, random: systemRandom(), log: silent, network: offlineNetwork }
  const definitions = new Map<string, AnyXlatorDefinition>([[plain.type, plain]])
  const process = processInfo(env, { name: 'test', volfileId: 'gv0' })
  return {
    host: new GraphHost({ env, process, definitions: () => definitions, onSwitch }),
    stopped,
  }
}

const volfile = (name: string): string => `volume ${name}\n  type testing/plain\nend-volume\n`

it('lets the next graph take over, and ends with it', async () => {
  const { host, stopped } = makeHost(async () => {})
  await host.apply(volfile('one'))
  await host.apply(volfile('two'))
  expect(stopped).toEqual(['one'])
  await host.stop()
  expect(stopped).toEqual(['one', 'two'])
})

// A mount's process outlived its umount for as long as a changed volume's bricks let it wait.
it('ends while a graph waits to take over', async () => {
  let began: () => void = () => {}
  const waiting = new Promise<void>(resolve => {
    began = resolve
  })
  const { host, stopped } = makeHost(() => {
    began()
    return new Promise(() => {})
  })
  await host.apply(volfile('one'))
  void host.apply(volfile('two'))
  await waiting
  void host.apply(volfile('three'))
  await within('the host ends', ENDED_MS_MAX, host.stop())
  expect(stopped.toSorted()).toEqual(['one', 'two'])
})
