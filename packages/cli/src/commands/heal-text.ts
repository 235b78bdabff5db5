/**
 * What is to be healed, crawls and resolved split-brains as text, as GlusterFS prints them.
 */

import type {
  BrickCrawlsView,
  BrickHealView,
  HealCountView,
  HealEntryView,
  ResolvedFileView,
  SplitBrainRequest,
} from '@ashlar/contract'

/** All entries; numbers only; only what is in split-brain. */
export type HealInfoForm = 'all' | 'summary' | 'split-brain'

type Brick = Omit<BrickHealView, 'peer'>

/** A path, or `<gfid:…>` where there is none. */
export function entryName({ path, gfid }: HealEntryView): string {
  return path ?? `<gfid:${gfid}>`
}

/** The entries that the form shows. */
export function shownEntries({ entries }: Brick, form: HealInfoForm): readonly HealEntryView[] {
  return form === 'split-brain' ? entries.filter(each => each.state === 'split-brain') : entries
}

const MARKS = {
  pending: ' ',
  'split-brain': ' - Is in split-brain',
  healing: ' - Possibly undergoing heal',
}

/** `heal V info …`, with the empty line behind each brick. */
export function healInfoText(bricks: readonly Brick[], form: HealInfoForm): string {
  return bricks.map(brick => `${brickLines(brick, form).join('\n')}\n\n`).join('')
}

function brickLines(brick: Brick, form: HealInfoForm): string[] {
  const head = `Brick ${brick.host}:${brick.path}`
  const status = `Status: ${brick.status}`
  const shown = shownEntries(brick, form)
  const count = (number: number): string => (brick.connected ? String(number) : '-')
  if (form === 'summary') {
    const states = stateCounts(shown)
    return [
      head,
      status,
      `Total Number of entries: ${count(shown.length)}`,
      `Number of entries in heal pending: ${count(states.pending)}`,
      `Number of entries in split-brain: ${count(states['split-brain'])}`,
      `Number of entries possibly healing: ${count(states.healing)}`,
    ]
  }
  const label = form === 'split-brain' ? 'Number of entries in split-brain' : 'Number of entries'
  return [
    head,
    ...shown.map(entry => `${entryName(entry)}${form === 'split-brain' ? '' : MARKS[entry.state]}`),
    status,
    `${label}: ${count(shown.length)}`,
  ]
}

/** How many entries are in each state. */
export function stateCounts(
  entries: readonly HealEntryView[],
): Record<HealEntryView['state'], number> {
  const counts = { pending: 0, 'split-brain': 0, healing: 0 }
  for (const { state } of entries) counts[state] += 1
  return counts
}

/** What became of files; of all files of a brick, with their number behind. */
export function resolvedText(files: readonly ResolvedFileView[], all = false): string {
  const lines = files.flatMap(resolvedLines).map(line => `${line}\n`)
  if (!all) return lines.join('')
  const healed = files.filter(file => file.healed).length
  return `${lines.join('')}Status: Connected\nNumber of healed entries: ${healed}\n\n`
}

function resolvedLines(resolved: ResolvedFileView): string[] {
  const { file, healed, reason, stage, errno, merged } = resolved
  switch (stage) {
    case 'lookup':
      return [`Lookup failed on ${file}:${reason}.`]
    case 'refused':
      return [reason]
    case 'gfid':
      if (healed) return [`GFID split-brain resolved for file ${file}`]
      return [`Lookup failed on ${file}:Input/output error.`, `${reason} for file ${file}`]
    case undefined: {
      const how = `'source-brick' option used on a directory (${file}). Performing conservative merge.`
      const head = merged === true ? [how] : []
      if (healed) return [...head, `Healed ${file}.`]
      return [...head, `Healing ${file} failed:${errno === undefined ? ' ' : ''}${reason}.`]
    }
  }
}

const ENOENT = 2
const EIO = 5
const EINVAL = 22

/** The exit status for a file whose split-brain is still there. */
export function unhealedStatus({ file, stage, errno }: ResolvedFileView): number {
  if (stage !== 'lookup') return errno ?? 1
  // GlusterFS looks for the parent of a path, and then says EINVAL; of two types, ENOENT.
  if (errno === EIO || (errno === ENOENT && file.startsWith('gfid:'))) return ENOENT
  return EINVAL
}

const NO_BRICK = 'No such brick available in the volume.'

/** Of the brick that all files are to be taken from. */
const BRICK_DOWN = 'Transport endpoint is not connected'

/** The brick whose files were meant cannot say which. */
export function isBrickDown(message: string): boolean {
  return message === BRICK_DOWN
}

/** Why no file was even looked at. */
export function unresolvedText(request: SplitBrainRequest, message: string): string {
  if (isBrickDown(message)) return `Status: ${message}\nNumber of healed entries: -\n\n`
  if (request.policy !== 'source-brick' || message !== NO_BRICK) return `${message}\n`
  const line = `"${request.brick}"- ${message}\n`
  if (request.file !== undefined) return line
  return `${line}Status: Operation not permitted\nNumber of healed entries: -\n\n`
}

/** A brick's count; undefined: it was not asked for. */
export type UngatheredCount = Omit<HealCountView, 'count'> & {
  readonly count: number | null | undefined
}

const NOT_GATHERED = 'No gathered input for this brick'

/** `heal V statistics heal-count`, without its first line. */
export function countLines(counts: readonly UngatheredCount[]): string[] {
  return counts.flatMap(({ host, path, count }) => {
    const head = ['', `Brick ${host}:${path}`]
    if (count === undefined) return [...head, NOT_GATHERED]
    if (count === null) return [...head, 'Status: Brick is not connected', NOT_GATHERED]
    return [...head, `Number of entries: ${count}`]
  })
}

/** `heal V statistics`, without its first line. */
export function crawlLines(bricks: readonly BrickCrawlsView[]): string[] {
  return bricks.flatMap(({ host, crawls }, n) => [
    '-'.repeat(48),
    '',
    `Crawl statistics for brick no ${n}`,
    `Hostname of brick ${host}`,
    ...crawls.flatMap(crawl => [
      '',
      `Starting time of crawl: ${crawl.startedText}`,
      '',
      crawl.endedText === null
        ? 'Crawl is in progress'
        : `Ending time of crawl: ${crawl.endedText}`,
      '',
      `Type of crawl: ${crawl.type}`,
      `No. of entries healed: ${crawl.healed}`,
      `No. of entries in split-brain: ${crawl.splitBrain}`,
      `No. of heal failed entries: ${crawl.failed}`,
    ]),
  ])
}
