import { describe, expect, it } from 'vitest'
import { callFop } from './compound.ts'
import { systemClock, systemRandom } from './env.ts'
import { Errno } from './errno.ts'
import { failure, type FopName, type Fops, ROOT_CTX, type Step } from './fops.ts'
import { Graph, type GraphOptions } from './graph.ts'
import { inodeLoc } from './loc.ts'
import { silentLog } from './log.ts'
import { offlineNetwork } from './network.ts'
import { defineOptions, OptionError } from './options.ts'
import { parseVolfile, VolfileError } from './volfile.ts'
import { defineXlator, type GraphEvent, type Xlator, type XlatorSelf } from './xlator.ts'

const env = {
  clock: systemClock,
  random: systemRandom(),
  log: silentLog,
  network: offlineNetwork,
}
const info = { uuid: 'u', name: 'test', hostname: 'host', pid: 1, volfileId: 'gv0' }

/** A translator that is given by its members; remembers what it was made with. */
const made = new Map<string, XlatorSelf>()
const type = (name: string, create: (self: XlatorSelf) => Xlator, options = defineOptions({})) =>
  defineXlator({
    type: `test/${name}`,
    options,
    create: self => {
      made.set(self.name, self as XlatorSelf)
      return create(self as XlatorSelf)
    },
  })

const answer = (by: string): Xlator => ({
  stat: async () => failure(Errno.EPERM),
  access: async () => ({ ok: true, xdata: undefined, by }) as never,
})

function graphOf(text: string, types: ReturnType<typeof type>[], more: Partial<GraphOptions> = {}) {
  const events: GraphEvent[] = []
  const graph = new Graph({
    volfile: parseVolfile(text),
    definitions: new Map(types.map(each => [each.type, each])),
    env,
    process: info,
    onEvent: event => events.push(event),
    ...more,
  })
  return { graph, events }
}

const node = (name: string, kind: string, subvolumes = '', options = ''): string =>
  `volume ${name}\n type test/${kind}\n ${options}\n${
    subvolumes === '' ? '' : ` subvolumes ${subvolumes}\n`
  }end-volume\n`

const fop = async (graph: Graph, name: FopName): Promise<unknown> => {
  const loc = inodeLoc(graph.inodes.root)
  return callFop(graph.top, name, ROOT_CTX, { loc } as never)
}

describe('fops', () => {
  const silent = type('silent', () => ({}))
  const leaf = type('leaf', self => answer(self.name))
  const statter = type('statter', self => ({
    stat: async (ctx, args) => {
      const reply = await self.child.stat(ctx, args)
      return reply.ok ? reply : failure(Errno.EIO)
    },
  }))

  it('go to the nearest translator below that has them', async () => {
    const calls: string[] = []
    const { graph } = graphOf(
      node('a', 'leaf') +
        node('b', 'silent', 'a') +
        node('c', 'statter', 'b') +
        node('d', 'silent', 'c'),
      [silent, leaf, statter],
      {
        instrument: (edge, call) => (ctx, args) => {
          calls.push(`${edge.from}>${edge.to} ${edge.fop}`)
          return call(ctx, args)
        },
      },
    )
    expect(await fop(graph, 'access')).toMatchObject({ by: 'a' })
    expect(await fop(graph, 'stat')).toMatchObject({ errno: Errno.EIO })
    // The layers that say nothing are not there at all.
    expect(calls).toEqual(['>a access', '>c stat', 'c>a stat'])
  })

  it('of several children that nobody joins go to the first', async () => {
    const { graph } = graphOf(node('a', 'leaf') + node('b', 'leaf') + node('c', 'silent', 'b a'), [
      silent,
      leaf,
    ])
    expect(await fop(graph, 'access')).toMatchObject({ by: 'b' })
  })

  it('that nobody has are not supported', async () => {
    const { graph } = graphOf(node('a', 'leaf'), [leaf])
    expect(await fop(graph, 'mkdir')).toEqual(failure(Errno.EOPNOTSUPP))
  })

  it('keep their translator as this', async () => {
    class Counter implements Xlator {
      count = 0
      async access() {
        this.count += 1
        return { ok: true } as const
      }
    }
    const counter = new Counter()
    const { graph } = graphOf(node('a', 'counter'), [type('counter', () => counter)])
    await fop(graph, 'access')
    expect(counter.count).toBe(1)
  })
})

describe('a graph', () => {
  const leaf = type('leaf', () => ({}))

  it('tells its translators where they stand', () => {
    const { graph } = graphOf(
      node('a', 'leaf') + node('b', 'leaf') + node('c', 'leaf', 'b a') + node('d', 'leaf', 'c b'),
      [leaf],
      { id: 7 },
    )
    expect(graph.info).toMatchObject({ id: 7, leaves: ['b', 'a'], volumeId: undefined })
    const c = made.get('c') as XlatorSelf
    expect(c.children.map(child => [child.name, child.index, child.leaves])).toEqual([
      ['b', 0, ['b']],
      ['a', 1, ['a']],
    ])
    expect(made.get('d')?.child.leaves).toEqual(['b', 'a'])
    expect(() => made.get('a')?.child).toThrow('has no child')
  })

  it('gives each translator context slots of its own', () => {
    const { graph } = graphOf(node('a', 'leaf') + node('b', 'leaf', 'a'), [leaf])
    const keys = ['a', 'b', 'a'].map(name => made.get(name)?.contextKey<string>())
    keys.forEach((key, i) => key?.set(graph.inodes.root, `${i}`))
    expect(keys.map(key => key?.get(graph.inodes.root))).toEqual(['0', '1', '2'])
  })

  it('starts from the leaves up and stops from the top down, whatever fails', async () => {
    const order: string[] = []
    const noisy = type('noisy', self => ({
      start: () => {
        order.push(`+${self.name}`)
      },
      stop: () => {
        order.push(`-${self.name}`)
        if (self.name === 'b') throw new Error('cannot stop')
      },
    }))
    const { graph } = graphOf(
      node('a', 'noisy') + node('b', 'noisy', 'a') + node('c', 'noisy', 'b'),
      [noisy],
    )
    await graph.start()
    await expect(graph.start()).rejects.toThrow()
    await graph.stop()
    await graph.stop()
    expect(order).toEqual(['+a', '+b', '+c', '-c', '-b', '-a'])
  })

  it('passes news up, past those who say nothing, to who asked for it', () => {
    const heard: string[] = []
    const deaf = type('deaf', () => ({}))
    const ear = type('ear', self => ({
      notify: (event, from) => {
        heard.push(`${self.name}<${from.name}: ${event.kind}`)
        self.notify(event)
      },
    }))
    const { events } = graphOf(
      node('a', 'leaf') + node('b', 'deaf', 'a') + node('c', 'ear', 'b') + node('d', 'ear', 'c'),
      [leaf, deaf, ear],
    )
    made.get('a')?.notify({ kind: 'child-up' })
    expect(heard).toEqual(['c<b: child-up', 'd<c: child-up'])
    expect(events).toEqual([{ kind: 'child-up' }])
  })

  it('tells all of fds that are released, clients that are gone and inodes that are forgotten', () => {
    const heard: string[] = []
    const listener = type('listener', self => ({
      release: () => heard.push(`${self.name} release`),
      forget: () => heard.push(`${self.name} forget`),
      clientGone: client => heard.push(`${self.name} ${client}`),
    }))
    const { graph } = graphOf(node('a', 'listener') + node('b', 'listener', 'a'), [listener])
    graph.openFd(graph.inodes.root, { flags: 0, pid: 1 }).unref()
    made.get('b')?.anonymousFd(graph.inodes.root, 0).unref()
    made.get('a')?.clientGone('x')
    const inode = graph.inodes.obtain('0123456789abcdef' as never)
    graph.inodes.forget(inode, 1)
    expect(heard).toEqual([
      'a release',
      'b release',
      'a release',
      'b release',
      'a x',
      'b x',
      'a forget',
      'b forget',
    ])
  })

  it('is not built of types that nobody knows or values that are bad', () => {
    expect(() => graphOf(node('a', 'unknown'), [leaf])).toThrow(VolfileError)
    const strict = type('strict', () => ({}), defineOptions({ n: { kind: 'int', doc: '' } }))
    expect(() => graphOf(node('a', 'strict', '', 'option n x'), [strict])).toThrow(OptionError)
  })
})

describe('reconfiguring', () => {
  const schema = defineOptions({
    n: { kind: 'int', default: '1', doc: '' },
    text: { kind: 'string', doc: '' },
  })
  const seen: unknown[] = []
  const configured = type(
    'configured',
    self => ({
      reconfigure: () => {
        seen.push({ ...self.options, texts: [...self.texts] })
      },
    }),
    schema as never,
  )
  const text = (options: string, name = 'a') => node(name, 'configured', '', options)

  it('gives translators new values, and defaults for what is gone', () => {
    seen.length = 0
    const { graph } = graphOf(text('option n 2\n option text old\n option other x'), [configured])
    const { options } = made.get('a') as XlatorSelf
    expect(options).toEqual({ n: 2, text: 'old' })
    expect(graph.reconfigure(parseVolfile(text('option n 3\n option more y')))).toBe(true)
    expect(seen).toEqual([
      {
        n: 3,
        text: undefined,
        texts: [
          ['n', '3'],
          ['more', 'y'],
        ],
      },
    ])
    expect(graph.reconfigure(parseVolfile(text('')))).toBe(true)
    // The object a translator was made with is the one that changes.
    expect(options).toEqual({ n: 1, text: undefined })
    expect(graph.volfile.nodes[0]?.options.size).toBe(0)
  })

  it('changes nothing when a value is bad or the topology differs', () => {
    seen.length = 0
    const two = (first: string, second: string) =>
      text(first) + node('b', 'configured', 'a', second)
    const { graph } = graphOf(two('option n 2', ''), [configured])
    expect(() => graph.reconfigure(parseVolfile(two('option n 5', 'option n x')))).toThrow(
      OptionError,
    )
    expect(graph.reconfigure(parseVolfile(text('option n 5')))).toBe(false)
    expect([made.get('a')?.options, seen]).toEqual([{ n: 2, text: undefined }, []])
    expect(graph.volfile.nodes[0]?.options.get('n')).toBe('2')
  })
})

describe('compounds', () => {
  const calls: string[] = []
  const whole = type('whole', () => ({
    compound: async (_ctx, { steps }) => {
      calls.push(`whole of ${steps.map(step => step.fop).join(' ')}`)
      return { ok: true, replies: [] }
    },
  }))
  const plain = type('plain', () => ({
    stat: async ctx => {
      calls.push(`stat by ${ctx.lkOwner}`)
      return failure(Errno.EPERM)
    },
    access: async ctx => {
      calls.push(`access by ${ctx.lkOwner}`)
      return { ok: true }
    },
  }))
  const silent = type('silent', () => ({}))
  const statter = type('statter', self => ({ stat: (ctx, args) => self.child.stat(ctx, args) }))
  const run = async (text: string): ReturnType<Fops['compound']> => {
    calls.length = 0
    const { graph } = graphOf(text, [whole, plain, silent, statter])
    const loc = inodeLoc(graph.inodes.root)
    const steps: Step[] = [
      { fop: 'access', args: { loc, mask: 0 }, ctx: { ...ROOT_CTX, lkOwner: 'other' } },
      { fop: 'stat', args: { loc } },
      { fop: 'access', args: { loc, mask: 0 } },
    ]
    return graph.top.compound({ ...ROOT_CTX, lkOwner: 'own' }, { steps })
  }

  it('run step by step, up to the first that fails, where nobody knows them', async () => {
    const reply = await run(node('a', 'plain') + node('b', 'silent', 'a'))
    expect(calls).toEqual(['access by other', 'stat by own'])
    expect(reply).toEqual({
      ok: true,
      replies: [{ ok: true }, failure(Errno.EPERM)],
    })
  })

  it('go whole to a translator that knows them', async () => {
    await run(node('a', 'whole') + node('b', 'silent', 'a') + node('c', 'silent', 'b'))
    expect(calls).toEqual(['whole of access stat access'])
  })

  it('do not go past a translator that has something to say', async () => {
    const reply = await run(node('a', 'whole') + node('b', 'statter', 'a'))
    expect(calls).toEqual([])
    expect(reply.ok && reply.replies[0]).toMatchObject({ errno: Errno.EOPNOTSUPP })
  })

  it('do not go past a translator with several children', async () => {
    await run(node('a', 'whole') + node('b', 'whole') + node('c', 'silent', 'a b'))
    expect(calls).toEqual([])
  })
})
