/**
 * `volume heal V info …` in XML. Unlike elsewhere the result stands behind the body.
 */

import type { BrickHealView } from '@ashlar/contract'
import { cliDocument, element, resultElements, type XmlElement } from '../xml.ts'
import { entryName, type HealInfoForm, shownEntries, stateCounts } from './heal-text.ts'

export function healInfoXml(bricks: readonly BrickHealView[], form: HealInfoForm): string {
  const body = element('healInfo', [
    element(
      'bricks',
      bricks.map(brick => brickElement(brick, form)),
    ),
  ])
  return cliDocument([body, ...resultElements({ ret: 0, errno: 0, message: '' })])
}

export function healFailureXml(message: string, errno: number): string {
  const body = element('healInfo', [element('bricks')])
  return cliDocument([body, ...resultElements({ ret: -1, errno, message })])
}

function brickElement(brick: BrickHealView, form: HealInfoForm): XmlElement {
  const name = element('name', `${brick.host}:${brick.path}`)
  const shown = shownEntries(brick, form)
  const content = (): (XmlElement | undefined)[] => {
    if (form === 'summary') return [name, ...summaryElements(brick)]
    return [
      name,
      ...shown.map(entry => ({
        name: 'file',
        attributes: { gfid: entry.gfid },
        content: entryName(entry),
      })),
      element('status', brick.status),
      element('numberOfEntries', brick.connected ? shown.length : '-'),
    ]
  }
  const { content: children } = element('brick', content())
  const attributes = { hostUuid: brick.connected ? brick.peer : '-' }
  return { name: 'brick', attributes, content: children }
}

function summaryElements(brick: BrickHealView): XmlElement[] {
  if (!brick.connected) {
    // GlusterFS runs its words together here.
    const reason = `Failed to process entries completely. (${brick.status})totalNumberOfEntries0`
    return [element('status', reason)]
  }
  const counts = stateCounts(brick.entries)
  return [
    element('status', brick.status),
    element('totalNumberOfEntries', brick.entries.length),
    element('numberOfEntriesInHealPending', counts.pending),
    element('numberOfEntriesInSplitBrain', counts['split-brain']),
    element('numberOfEntriesPossiblyHealing', counts.healing),
  ]
}
