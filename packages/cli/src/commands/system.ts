/**
 * `system::` commands: facts of this server for scripts.
 */

import type { ServerView } from '@ashlar/contract'
import { type Command, UsageError } from '../command.ts'
import { reporting, show } from '../failure.ts'

export const uuidGet: Command = async input => {
  if (input.words.length > 0) throw new UsageError('')
  const { uuid } = await input.api.get<ServerView>('/server')
  const text = `UUID: ${uuid}`
  return show(input, {
    json: { uuid },
    xml: () => text,
    text: () => input.terminal.out(text),
  })
}

export const getWorkDirectory: Command = async input => {
  if (input.words.length > 0) throw new UsageError('')
  const { workDirectory } = await input.api.get<ServerView>('/server')
  input.terminal.out(workDirectory)
  return 0
}

export const getVolfile: Command = async input => {
  const [id] = input.words
  if (id === undefined || input.words.length > 1) throw new UsageError('')
  const path = id.split('/').map(encodeURIComponent).join('/')
  return reporting(input, { text: () => 'getspec failed' }, async () => {
    const { text } = await input.api.get<{ text: string }>(`/volfiles/${path}`)
    input.terminal.out(text)
    return 0
  })
}
