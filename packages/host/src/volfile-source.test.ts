/** Which servers are asked for a volfile, how often, and when that is given up. */

import {
  type Address,
  addressText,
  type Env,
  type Network,
  silentLog,
  systemClock,
  systemRandom,
} from '@ashlar/core'
import { type IncomingCall, RpcServer, tcpNetwork } from '@ashlar/transport'
import { handshakeProgram } from '@ashlar/wire'
import { afterEach, expect, test } from 'vitest'
import { ServerVolfileSource } from './volfile-source.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** An environment that notes where connections go. */
function watched(): { env: Env; asked: string[] } {
  const asked: string[] = []
  const network = tcpNetwork()
  const noting: Network = Object.create(network, {
    connect: {
      value: (address: Address, ...rest: never[]) => {
        asked.push(addressText(address))
        return (network.connect as (...all: unknown[]) => unknown).call(network, address, ...rest)
      },
    },
  })
  return {
    env: { clock: systemClock, random: systemRandom(), log: silentLog, network: noting },
    asked,
  }
}

/** An address that nobody listens at. */
async function deserted(env: Env): Promise<{ host: string; port: number }> {
  const server = new RpcServer({ env, programs: [] })
  const address = (await server.listen({ host: '127.0.0.1', port: 0 })) as {
    host: string
    port: number
  }
  await server.close()
  return address
}

test('gives up once each server was tried as often as told, with the reason', async () => {
  const { env, asked } = watched()
  const servers = [await deserted(env), await deserted(env)]
  const source = new ServerVolfileSource({ env, servers, attempts: 2, volfileId: 'gv0' })
  cleanups.push(() => source.stop())
  const reason = await new Promise<string>((resolve, reject) => {
    source.start({
      volfile: () => reject(new Error('nobody is there')),
      failed: (why, final) => {
        if (final) resolve(why)
      },
    })
  })
  expect(reason).toMatch(/is not reached: .*ECONNREFUSED/)
  const [first, second] = servers.map(addressText)
  expect(asked).toEqual([first, second, first, second])
})

test('a server that comes in the second round is stayed with', async () => {
  const { env, asked } = watched()
  const away = await deserted(env)
  const late = await deserted(env)
  const server = new RpcServer({
    env,
    programs: [
      {
        program: handshakeProgram,
        handle: (call: IncomingCall) => call.reply({ ret: 0, errno: 0, spec: 'volume x' }),
      },
    ],
  })
  cleanups.push(() => server.close())
  const source = new ServerVolfileSource({ env, servers: [away, late], volfileId: 'gv0' })
  cleanups.push(() => source.stop())
  const volfile = new Promise<string>(resolve => {
    source.start({ volfile: resolve, failed: () => undefined })
  })
  await expect.poll(() => asked.length, { timeout: 5000, interval: 1 }).toBe(3)
  await server.listen(late)
  expect(await volfile).toBe('volume x')
  expect(asked.slice(0, 4)).toEqual([away, late, away, late].map(addressText))
  const before = asked.length
  await server.close()
  await expect.poll(() => asked.length, { timeout: 5000 }).toBeGreaterThan(before)
  expect(asked[before]).toBe(addressText(late))
})
