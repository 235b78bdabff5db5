/**
 * The daemon as a whole: state of a real GlusterFS adopted, and what clients and bricks see of it.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Address, Dict, Errno, silentLog, systemClock, systemRandom } from '@ashlar/core'
import { isFailure, RpcClient, tcpNetwork } from '@ashlar/transport'
import { callbackProgram, handshakeProgram, portmapProgram } from '@ashlar/wire'
import { afterEach, describe, expect, it } from 'vitest'
import type { Launcher } from './bricks/launcher.ts'
import type { BrickSpec } from './bricks/spec.ts'
import { Glusterd } from './daemon.ts'
import { resolveSettings, type Settings } from './settings.ts'

const STATE = JSON.parse(
  gunzipSync(
    readFileSync(new URL('../fixtures/glusterd-state.json.gz', import.meta.url)),
  ).toString(),
) as Record<string, string>

const env = {
  clock: systemClock,
  random: systemRandom(),
  network: tcpNetwork(),
  log: silentLog,
}

/** Bricks that are a table entry: alive from launch to signal. */
class Table implements Launcher {
  readonly alive = new Map<string, number>()
  readonly launched: BrickSpec[] = []
  launchedNow: (spec: BrickSpec) => void = () => {}
  launch(spec: BrickSpec): Promise<void> {
    this.alive.set(spec.path, 4242)
    this.launched.push(spec)
    try {
      this.launchedNow(spec)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    return Promise.resolve()
  }
  running(spec: BrickSpec): number | undefined {
    return this.alive.get(spec.path)
  }
  commandLine(): undefined {
    return undefined
  }
  signal(): boolean {
    this.alive.clear()
    return true
  }
}

class House {
  readonly scratch = mkdtempSync(join(tmpdir(), 'ashlar-glusterd-'))
  readonly launcher = new Table()
  readonly clients: RpcClient[] = []
  daemon: Glusterd | undefined

  get settings(): Settings {
    return resolveSettings(
      {
        workDirectory: join(this.scratch, 'lib'),
        runDirectory: join(this.scratch, 'run'),
        logDirectory: join(this.scratch, 'log'),
        port: 0,
        bindAddress: '127.0.0.1',
        apiSocket: join(this.scratch, 'api.sock'),
        hostnames: ['server1'],
        rootPath: '/proc',
      },
      {},
      '/nonexistent',
    )
  }

  async start(): Promise<Glusterd> {
    this.daemon = await Glusterd.start({
      settings: this.settings,
      env,
      launcher: this.launcher,
    })
    return this.daemon
  }

  client(callback: (procedure: number) => void = () => {}): Promise<RpcClient> {
    return new Promise(resolve => {
      const client = new RpcClient({
        env,
        name: 'test',
        address: () => this.daemon?.address as Address,
        connected: () => resolve(client),
        callback: (program, procedure) => {
          if (program === callbackProgram.number) callback(procedure)
        },
      })
      this.clients.push(client)
      client.start()
    })
  }

  get(path: string): Promise<{ status: number; body: unknown }> {
    return new Promise((resolve, reject) => {
      const socketPath = this.settings.apiSocket
      request({ socketPath, path }, incoming => {
        let text = ''
        incoming.on('data', chunk => (text += String(chunk)))
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(text) }),
        )
      })
        .on('error', reject)
        .end()
    })
  }

  async end(): Promise<void> {
    for (const client of this.clients) client.stop()
    await this.daemon?.stop()
    rmSync(this.scratch, { recursive: true, force: true })
  }
}

let house: House
afterEach(() => house.end())

async function houseWithVolume(): Promise<Glusterd> {
  house = new House()
  const daemon = await house.start()
  house.launcher.launchedNow = spec => {
    const port = Number(spec.words[spec.words.indexOf('--brick-port') + 1])
    daemon.portmap.signIn(spec.path, port, 4242, undefined)
  }
  const bricks = ['b1', 'b2'].map(name => ({ host: 'server1', path: join(house.scratch, name) }))
  await daemon.manager.create({ name: 'gv0', bricks, force: true })
  return daemon
}

const VERSIONS = Dict.from({ 'min-op-version': 1, 'max-op-version': 100_000 })

describe('glusterd', () => {
  it('adopts the state of a real server and leaves it as it was', async () => {
    house = new House()
    const prefix = 'server1/'
    for (const [path, text] of Object.entries(STATE)) {
      if (!path.startsWith(prefix)) continue
      const file = join(house.settings.workDirectory, path.slice(prefix.length))
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
    house.launcher.launchedNow = () => {
      throw new Error('these bricks are elsewhere')
    }
    const daemon = await house.start()
    await daemon.adopted
    const names = daemon.manager.volumes().map(volume => volume.name)
    expect(names).toEqual(['arb', 'dist3', 'dr', 'ec21', 'idle', 'rep3', 'v1', 'v2'])
    expect(daemon.manager.volume('dist3').options.map(option => option.key)).toEqual([
      'auth.allow',
      'cluster.quorum-type',
      'storage.fips-mode-rchecksum',
      'transport.address-family',
      'nfs.disable',
      'cluster.server-quorum-ratio',
    ])
    for (const [path, text] of Object.entries(STATE)) {
      const generated = /\/bricks\/|\.vol$/.test(path)
      if (!path.startsWith(prefix) || generated) continue
      const file = join(house.settings.workDirectory, path.slice(prefix.length))
      expect(`${path}: ${readFileSync(file, 'utf8')}`).toBe(`${path}: ${text}`)
    }
  })

  it('serves volfiles, with credentials for this server only, and ports of bricks', async () => {
    const daemon = await houseWithVolume()
    const client = await house.client()
    const { GETSPEC } = handshakeProgram.procedures
    const askWith = (key: string, xdata: Dict | undefined) =>
      client.call(handshakeProgram, GETSPEC, { flags: 0, key, xdata })
    const ask = (key: string) => askWith(key, VERSIONS)
    const early = await ask('gv0')
    expect(early).toMatchObject({ ret: -1, errno: Errno.ENOENT, spec: '' })
    await daemon.manager.start('gv0', false)
    const reply = await ask('/gv0')
    if (isFailure(reply)) throw new Error('no answer')
    expect(reply.ret).toBe(Buffer.byteLength(reply.spec))
    expect(reply.spec).toContain('option username')
    // The test's glusterd is not at GlusterFS's port: ports stand in the volfile.
    expect(reply.spec).toContain('option remote-port')
    const path = house.scratch.slice(1).replaceAll('/', '-')
    expect(await ask(`gv0.server1.${path}-b1`)).toMatchObject({ errno: 0 })
    expect(await askWith('gv0', undefined)).toMatchObject({ ret: -1, errno: Errno.EOPNOTSUPP })
    expect(await askWith('gv0', Dict.from({ a: 1 }))).toMatchObject({
      ret: -1,
      errno: Errno.EINVAL,
    })
    expect(await ask('x'.repeat(300))).toMatchObject({ ret: -1, errno: Errno.EINVAL })
    expect(await ask('../../etc')).toMatchObject({ ret: -1, errno: Errno.ENOENT })
  })

  it('knows the ports of bricks as long as their connections live', async () => {
    await houseWithVolume()
    const asker = await house.client()
    const brick = await house.client()
    const { PORTBYBRICK, SIGNIN } = portmapProgram.procedures
    const port = () => asker.call(portmapProgram, PORTBYBRICK, { brick: '/b' })
    expect(await port()).toMatchObject({ ret: -1, port: 0 })
    await brick.call(portmapProgram, SIGNIN, { brick: '/b', port: 49_200, pid: 7 })
    expect(await port()).toMatchObject({ ret: 0, port: 49_200 })
    brick.stop()
    await expect.poll(port, { timeout: 5_000 }).toMatchObject({ ret: -1 })
  })

  it('tells every connection when a volfile has changed', async () => {
    const daemon = await houseWithVolume()
    let calls = 0
    await house.client(procedure => {
      if (procedure === callbackProgram.procedures.FETCHSPEC.num) calls += 1
    })
    await daemon.manager.set('gv0', [{ key: 'cluster.min-free-disk', value: '5%' }])
    await expect.poll(() => calls, { timeout: 5_000 }).toBe(1)
    await daemon.manager.set('gv0', [{ key: 'user.note', value: 'nothing in a volfile' }])
    await daemon.manager.set('gv0', [{ key: 'performance.io-cache', value: 'on' }])
    await expect.poll(() => calls, { timeout: 5_000 }).toBe(2)
  })

  it('finds running bricks again and starts those that are missing', async () => {
    const daemon = await houseWithVolume()
    await daemon.manager.start('gv0', false)
    const ports = new Map(
      house.launcher.launched.map(spec => [spec.path, daemon.portmap.port(spec.path)]),
    )
    await daemon.stop()
    house.launcher.alive.delete(join(house.scratch, 'b2'))
    house.launcher.launched.length = 0
    house.launcher.launchedNow = spec => {
      const port = Number(spec.words[spec.words.indexOf('--brick-port') + 1])
      void house.client().then(client =>
        client.call(portmapProgram, portmapProgram.procedures.SIGNIN, {
          brick: spec.path,
          port,
          pid: 4242,
        }),
      )
    }
    const again = await house.start()
    await again.adopted
    expect(house.launcher.launched.map(spec => spec.path)).toEqual([join(house.scratch, 'b2')])
    const processes = await again.manager.status('gv0', {})
    expect(processes.bricks.map(brick => brick.online)).toEqual([true, true])
    expect(processes.bricks.map(brick => brick.port)).toEqual(
      processes.bricks.map(brick => ports.get(brick.path)),
    )
  })

  it('takes back what a failed create has done', async () => {
    const daemon = await houseWithVolume()
    const fresh = join(house.scratch, 'fresh')
    const bricks = [fresh, join(house.scratch, 'no/parent')].map(path => ({
      host: 'server1',
      path,
    }))
    await expect(daemon.manager.create({ name: 'gv1', bricks, force: true })).rejects.toMatchObject(
      { code: 'BRICK_INVALID' },
    )
    expect(readdirSync(house.scratch)).not.toContain('fresh')
  })

  it('describes its API and answers errors by code', async () => {
    await houseWithVolume()
    const description = await house.get('/v1/openapi.json')
    expect(description.status).toBe(200)
    const { paths } = description.body as { paths: Record<string, unknown> }
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining([
        '/v1/volumes/{name}/start',
        '/v1/volumes/{name}/bricks/replace',
        '/v1/volumes/{name}/heal',
        '/v1/volumes/{name}/heal/split-brain',
      ]),
    )
    const status = JSON.stringify(paths['/v1/volumes/{name}/status'])
    for (const detail of ['filesystem', 'clients', 'memory', 'inodes', 'fds', 'calls']) {
      expect(status).toContain(`"${detail}"`)
    }
    for (const field of ['heapUsed', 'keepcost', 'lruLimit', 'firstFree', 'unique']) {
      expect(status).toContain(`"${field}":{"type"`)
    }
    expect(await house.get('/v1/volumes/none')).toEqual({
      status: 404,
      body: {
        code: 'VOLUME_NOT_FOUND',
        message: 'Volume none does not exist',
        exitStatus: 1,
      },
    })
  })

  it('runs hook scripts with the volume and its options', async () => {
    const daemon = await houseWithVolume()
    const directory = join(house.settings.workDirectory, 'hooks/1/set/pre')
    const seen = join(house.scratch, 'seen')
    writeFileSync(join(directory, 'S10note.sh'), `#!/bin/sh\necho "$@" >> ${seen}\n`, {
      mode: 0o755,
    })
    writeFileSync(join(directory, 'K10other.sh'), `#!/bin/sh\necho wrong >> ${seen}\n`, {
      mode: 0o755,
    })
    await daemon.manager.set('gv0', [{ key: 'io-cache', value: 'on' }])
    expect(readFileSync(seen, 'utf8')).toBe(
      `--volname=gv0 -o performance.io-cache=on --gd-workdir=${house.settings.workDirectory}\n`,
    )
  })
})
