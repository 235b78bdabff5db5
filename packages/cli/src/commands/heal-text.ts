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
  const lines = files.map(each => {
    const { file, healed, reason } = each
    if (!all && isUnknownFile(each)) return `Lookup failed on ${file}:${reason}.\n`
    if (healed) return `Healed ${file}.\n`
    return all ? `Healing ${file} failed:${reason}.\n` : `Healing ${file} failed: ${reason}.\n`
  })
  if (!all) return lines.join('')
  const healed = files.filter(file => file.healed).length
  return `${lines.join('')}Status: Connected\nNumber of healed entries: ${healed}\n`
}

/** The file was not found. */
export function isUnknownFile({ healed, reason }: ResolvedFileView): boolean {
  return !healed && reason === 'No such file or directory'
}

const NO_BRICK = 'No such brick available in the volume.'

/** Why no file was even looked at. */
export function unresolvedText(request: SplitBrainRequest, message: string): string {
  if (request.policy !== 'source-brick' || message !== NO_BRICK) return `${message}\n`
  const line = `"${request.brick}"- ${message}\n`
  if (request.file !== undefined) return line
  return `${line}Status: Operation not permitted\nNumber of healed entries: -\n\n`
}

/** `heal V statistics heal-count`, without its first line. */
export function countLines(counts: readonly HealCountView[]): string[] {
  return counts.flatMap(({ host, path, count }) => [
    '',
    `Brick ${host}:${path}`,
    ...(count === null
      ? ['Status: Brick is not connected', 'No gathered input for this brick']
      : [`Number of entries: ${count}`]),
  ])
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
