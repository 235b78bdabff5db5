/**
 * What the recordings do not have: words of heal and brick commands that fit or do not, and the text
 * of entries in each state.
 */

import type { BrickHealView } from '@ashlar/contract'
import { describe, expect, it } from 'vitest'
import { healInfoJson } from './commands/heal-json.ts'
import {
  countLines,
  healInfoText,
  resolvedText,
  unhealedStatus,
  unresolvedText,
} from './commands/heal-text.ts'
import { parseHealWords } from './commands/heal-words.ts'
import { healFailureXml, healInfoXml } from './commands/heal-xml.ts'
import { parseStatusWords } from './commands/status-words.ts'
import { runLine } from './run.ts'
import type { Terminal } from './terminal.ts'

describe('the words of volume heal', () => {
  it.each([
    ['', { kind: 'launch', scope: 'index' }],
    ['statistics heal-count replica h:/b', { kind: 'counts', brick: 'h:/b' }],
    ['info summary', { kind: 'info', form: 'summary' }],
    [
      'split-brain source-brick h:/b',
      { kind: 'resolve', request: { policy: 'source-brick', brick: 'h:/b' } },
    ],
    [
      'split-brain source-brick h:/b gfid:1',
      { kind: 'resolve', request: { policy: 'source-brick', brick: 'h:/b', file: 'gfid:1' } },
    ],
    [
      'split-brain latest-mtime /f',
      { kind: 'resolve', request: { policy: 'latest-mtime', file: '/f' } },
    ],
  ])('%j', (line, parsed) => {
    expect(parseHealWords(line.split(' ').filter(word => word !== ''))).toEqual(parsed)
  })

  it.each([
    'sta',
    'full now',
    'info healed',
    'info summary more',
    'statistics heal-count h:/b',
    'statistics heal-count replica',
    'split-brain',
    'split-brain bigger-file',
    'split-brain bigger-file /f /g',
    'split-brain smaller-file /f',
    'granular-entry-heal on',
    'split-brain source-brick /f',
    'split-brain source-brick h:b /f',
    'statistics heal-count replica b',
  ])('not %j', line => {
    expect(() => parseHealWords(line.split(' '))).toThrow()
  })
})

describe('what is to be healed', () => {
  const entry = { gfid: 'd8a2', path: '/f', reason: 'because', age: 3 }
  const bricks: BrickHealView[] = [
    {
      host: 'h',
      path: '/b',
      peer: 'p',
      connected: true,
      status: 'Connected',
      entries: [
        { ...entry, state: 'pending' },
        { ...entry, state: 'healing', path: null },
        { ...entry, state: 'split-brain', path: '/g' },
      ],
    },
  ]

  it('is a line for each entry', () => {
    expect(healInfoText(bricks, 'all')).toBe(
      'Brick h:/b\n/f \n<gfid:d8a2> - Possibly undergoing heal\n/g - Is in split-brain\n' +
        'Status: Connected\nNumber of entries: 3\n\n',
    )
    expect(healInfoText(bricks, 'split-brain')).toBe(
      'Brick h:/b\n/g\nStatus: Connected\nNumber of entries in split-brain: 1\n\n',
    )
    expect(healInfoText(bricks, 'summary')).toMatch(
      /entries: 3\n.*pending: 1\n.*split-brain: 1\n.*healing: 1\n\n$/,
    )
    expect(healInfoXml(bricks, 'split-brain')).toContain('<file gfid="d8a2">/g</file>')
  })

  // `info split-brain` and `info summary` gave all entries in JSON.
  it('is in JSON what was asked for', () => {
    const away = { ...bricks[0], path: '/c', connected: false, entries: [] } as BrickHealView
    const answer = { volume: 'v', bricks: [...bricks, away] }
    expect(healInfoJson(answer, 'all')).toBe(answer)
    expect(healInfoJson(answer, 'split-brain')).toMatchObject({
      bricks: [{ entries: [{ path: '/g', reason: 'because' }] }, { entries: [] }],
    })
    expect(healInfoJson(answer, 'summary')).toMatchObject({
      volume: 'v',
      bricks: [
        { path: '/b', total: 3, pending: 1, splitBrain: 1, healing: 1 },
        { path: '/c', total: null, pending: null, splitBrain: null, healing: null },
      ],
    })
  })

  // As GlusterFS 10.3 says it, with `--xml` too.
  it('says which file or brick there is not', () => {
    const none = { file: '/none', healed: false, reason: 'No such file or directory', errno: 2 }
    const files = [{ ...none, stage: 'lookup' } as const]
    expect(resolvedText(files)).toBe('Lookup failed on /none:No such file or directory.\n')
    const missing = 'No such brick available in the volume.'
    const request = { policy: 'source-brick', brick: 'h:/x' } as const
    expect(unresolvedText(request, missing)).toBe(
      `"h:/x"- ${missing}\nStatus: Operation not permitted\nNumber of healed entries: -\n\n`,
    )
    expect(unresolvedText({ ...request, file: '/f' }, missing)).toBe(`"h:/x"- ${missing}\n`)
    expect(unresolvedText({ policy: 'bigger-file', file: '/f' }, 'why')).toBe('why\n')
  })

  it('tells of all files of a brick with their number', () => {
    const files = [
      { file: 'gfid:a', healed: true, reason: '', merged: true },
      { file: 'gfid:b', healed: false, reason: 'Operation not permitted', errno: 1 },
      { file: 'gfid:c', healed: false, reason: 'File not in split-brain' },
    ]
    expect(resolvedText(files, true)).toBe(
      "'source-brick' option used on a directory (gfid:a). Performing conservative merge.\n" +
        'Healed gfid:a.\nHealing gfid:b failed:Operation not permitted.\n' +
        'Healing gfid:c failed: File not in split-brain.\n' +
        'Status: Connected\nNumber of healed entries: 1\n\n',
    )
    const request = { policy: 'source-brick', brick: 'h:/x' } as const
    expect(unresolvedText(request, 'Transport endpoint is not connected')).toBe(
      'Status: Transport endpoint is not connected\nNumber of healed entries: -\n\n',
    )
  })

  // Lines and exit statuses of GlusterFS 10.3.
  it.each([
    [{ stage: 'gfid', healed: true }, 'GFID split-brain resolved for file /f\n', 1],
    [
      { stage: 'gfid', reason: 'No bigger file' },
      'Lookup failed on /f:Input/output error.\nNo bigger file for file /f\n',
      1,
    ],
    [{ stage: 'refused', reason: 'not for directories.' }, 'not for directories.\n', 1],
    [{ stage: 'lookup', errno: 5, reason: 'EIO' }, 'Lookup failed on /f:EIO.\n', 2],
    [{ stage: 'lookup', errno: 2, reason: 'ENOENT' }, 'Lookup failed on /f:ENOENT.\n', 22],
    [{ stage: 'lookup', errno: 22, reason: 'EINVAL' }, 'Lookup failed on /f:EINVAL.\n', 22],
    [{ errno: 107, reason: 'ENOTCONN' }, 'Healing /f failed:ENOTCONN.\n', 107],
  ] as const)('tells how far a file came: %j', (found, text, status) => {
    const resolved = { file: '/f', healed: false, reason: '', ...found }
    expect(resolvedText([resolved])).toBe(text)
    expect(unhealedStatus(resolved)).toBe(status)
  })

  it('is counted, or was not asked for', () => {
    const brick = { host: 'h', path: '/b' }
    expect(countLines([{ ...brick, count: 3 }])).toEqual(['', 'Brick h:/b', 'Number of entries: 3'])
    expect(countLines([{ ...brick, count: undefined }])).toEqual([
      '',
      'Brick h:/b',
      'No gathered input for this brick',
    ])
  })

  it('has an empty list in the XML of a failure', () => {
    expect(healFailureXml('why', 5)).toMatch(
      /<healInfo>\s*<bricks\/>\s*<\/healInfo>\s*<opRet>-1<\/opRet>\s*<opErrno>5<\/opErrno>/,
    )
  })
})

const CREATE_ARBITER =
  'For arbiter configuration, replica count must be 2 and arbiter count must be 1. ' +
  'The 3rd brick of the replica will be the arbiter'

describe('words of bricks', () => {
  async function said(line: string, answer = 'n'): Promise<[number, string, string]> {
    let out = ''
    let err = ''
    const terminal: Terminal = {
      out: text => (out += `${text}\n`),
      err: text => (err += `${text}\n`),
      print: text => (out += text),
      readLine: () => answer,
    }
    const status = await runLine(line.split(' '), terminal, { ASHLAR_API_SOCKET: '/nonexistent' })
    return [status, out, err]
  }

  it.each([
    [
      'volume heal v split-brain source-brick /f',
      'Wrong brick type: /f, use <HOSTNAME>:<export-dir-abs-path>',
    ],
    ['volume create v replica 10.0.0.1:/b force', 'No bricks specified'],
    ['volume create v replica h:/b force', 'replica count should be greater than 1'],
    ['volume create v replica 2', ''],
    ['volume create v replica 3 arbiter h:/a h:/b h:/c', CREATE_ARBITER],
    ['volume create v replica 3 arbiter', CREATE_ARBITER],
    ['volume add-brick v replica 1 h:/b', 'replica count should be greater than 1'],
    [
      'volume add-brick v replica 2 arbiter 1 h:/b',
      'For arbiter configuration, replica count must be 3 and arbiter count must be 1. ' +
        'The 3rd brick of the replica will be the arbiter',
    ],
    [
      'volume remove-brick v replica 0 h:/b force',
      'replica count should be greater than 0 in case of remove-brick',
    ],
    [
      'volume remove-brick v hb force',
      'wrong brick type: hb, use <HOSTNAME>:<export-dir-abs-path>',
    ],
    ['volume remove-brick v h:/b h:/b force', 'Duplicate bricks found h:/b'],
    [
      'volume replace-brick v h:/a h:/b commit now',
      "Invalid option 'commit' 'now' for replace-brick. Please enter valid replace-brick command",
    ],
    [
      'volume reset-brick v h:/a stop',
      "Invalid option 'stop' for reset-brick. Please enter valid reset-brick command",
    ],
  ])('%s', async (line, message) => {
    const [status, , err] = await said(line)
    expect(status).toBe(1)
    expect(err.split('\n')[0]).toBe(message)
  })

  it('asks before files are lost, and takes a no', async () => {
    const [status, out] = await said('volume remove-brick v h:/b force')
    expect(status).toBe(0)
    expect(out).toMatch(/^Remove-brick force will not migrate files/)
    expect(await said('volume remove-brick v h:/b force', 'y')).toMatchObject([
      1,
      expect.stringContaining('Connection failed'),
      '',
    ])
  })

  it('knows what there is not to tell of a daemon', () => {
    expect(() => parseStatusWords(['v', 'shd', 'detail'])).toThrow(
      'Detail/FD/Clients/Tasks status not available for Self-heal Daemons',
    )
  })
})
