/**
 * `volume set`, `get`, `reset`, and the help of `set`.
 */

import type { OptionHelp, OptionSetting, OptionValueView } from '@ashlar/contract'
import { segment } from '../api-client.ts'
import { type Command, type CommandInput, sure, UsageError } from '../command.ts'
import { type FailureForm, reporting, show, SUCCESS } from '../failure.ts'
import { cliOutput, element } from '../xml.ts'

const NO = new Set(['off', 'false', 'no', '0', 'disable'])

function operationForm(
  prefix: string,
  name: string,
  output: (message: string) => string,
): FailureForm {
  return {
    text: message => `${prefix}: failed: ${message}`,
    operation: { name, output },
  }
}

const SET_FORM = operationForm('volume set', 'volSet', () => 'Set volume unsuccessful')
const RESET_FORM = operationForm('volume reset', 'volReset', message => message)
const GET_FORM: FailureForm = {
  ...operationForm(
    'volume get option',
    'volGetopts',
    message => `volume get option: failed: ${message}`,
  ),
  errno: 0,
  documentFails: true,
}

export const setOptions: Command = async input => {
  const [name, ...words] = input.words
  if (name === 'help' && words.length === 0) return setHelp(input)
  if (name === 'help-xml' && words.length === 0) {
    return setHelp({ ...input, options: { ...input.options, format: 'xml' } })
  }
  if (name === undefined || words.length < 2) throw new UsageError('')
  if (words[0] === 'group') {
    if (words.length !== 2) throw new UsageError('')
    return setGroup(input, name, words[1] as string)
  }
  if (words.length % 2 !== 0) throw new UsageError('')
  const settings: OptionSetting[] = []
  for (let at = 0; at < words.length; at += 2) {
    const key = words[at] as string
    const value = words[at + 1] as string
    if (value.trim() === '') throw new UsageError('')
    settings.push({ key, value: key.startsWith('user.') ? value : value.replace(/\s+/g, '') })
  }
  const question = dangerOf(settings)
  if (question !== undefined && !sure(input, question)) {
    input.terminal.err('Aborted by user.')
    return 1
  }
  return applySettings(input, name, settings)
}

/** GlusterFS asks before these. */
function dangerOf(settings: readonly OptionSetting[]): string | undefined {
  const nfs = settings.find(({ key }) => key === 'nfs.disable')
  if (nfs === undefined || !NO.has(nfs.value.toLowerCase())) return undefined
  return (
    'Gluster NFS is being deprecated in favor of NFS-Ganesha ' +
    'Enter "yes" to continue using Gluster NFS'
  )
}

function setGroup(input: CommandInput, name: string, group: string): Promise<number> {
  return reporting(input, { text: message => message }, async () => {
    const settings = await input.api.get<OptionSetting[]>(`/groups/${segment(group)}`)
    return applySettings(input, name, settings)
  })
}

function applySettings(
  input: CommandInput,
  name: string,
  settings: readonly OptionSetting[],
): Promise<number> {
  const path = name === 'all' ? '/options' : `/volumes/${segment(name)}/options`
  return reporting(input, SET_FORM, async () => {
    await input.api.patch(path, { options: settings })
    return show(input, {
      json: { options: settings },
      xml: () =>
        cliOutput(SUCCESS, [
          element('cliOp', 'volSet'),
          element('output', 'Set volume successful'),
        ]),
      text: () => input.terminal.out('volume set: success'),
    })
  })
}

async function setHelp(input: CommandInput): Promise<number> {
  const options = await input.api.get<OptionHelp[]>('/option-help')
  return show(input, {
    json: { options },
    xml: () => {
      const rows = options.map(
        option =>
          `<option><defaultValue>${plain(option.default ?? '(null)')}</defaultValue>` +
          `<description>${plain(option.description)}</description>` +
          `<name>${plain(option.key)}</name></option>`,
      )
      const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
      return `${head}<options>${rows.join('')}</options>`
    },
    text: () => {
      for (const option of options) {
        input.terminal.out(
          `Option: ${option.key}\nDefault Value: ${option.default ?? '(null)'}\n` +
            `Description: ${option.description}\n`,
        )
      }
    },
  })
}

function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

export const resetVolume: Command = async input => {
  const [name, ...words] = input.words
  if (name === undefined || words.length > 2) throw new UsageError('')
  const force = words.at(-1) === 'force'
  const [key] = force ? words.slice(0, -1) : words
  if (words.length === 2 && !force) throw new UsageError('')
  const base = `/volumes/${segment(name)}/options`
  const suffix = key === undefined ? '' : `/${segment(key)}`
  const path =
    name === 'all'
      ? `/options${key === undefined ? '' : `?key=${segment(key)}`}`
      : `${base}${suffix}?force=${force}`
  return reporting(input, RESET_FORM, async () => {
    const { message } = await input.api.delete<{ message: string }>(path)
    return show(input, {
      json: { message },
      xml: () => cliOutput(SUCCESS, [element('cliOp', 'volReset'), element('output', message)]),
      text: () => input.terminal.out(`volume reset: success: ${message}`),
    })
  })
}

export const getOptions: Command = async input => {
  const [name, key] = input.words
  if (name === undefined || key === undefined || input.words.length > 2) throw new UsageError('')
  const base = name === 'all' ? '/options' : `/volumes/${segment(name)}/options`
  return reporting(input, GET_FORM, async () => {
    const rows =
      key === 'all'
        ? await input.api.get<OptionValueView[]>(base)
        : [await input.api.get<OptionValueView>(`${base}/${segment(key)}`)]
    return show(input, {
      json: { options: rows },
      xml: () =>
        cliOutput(SUCCESS, [
          element('volGetopts', [
            element('count', rows.length),
            ...rows.map(row =>
              element('Opt', [element('Option', row.key), element('Value', valueText(row))]),
            ),
          ]),
        ]),
      text: () => {
        input.terminal.out(columns('Option', 'Value'))
        input.terminal.out(columns('------', '-----'))
        for (const row of rows) input.terminal.out(columns(row.key, valueText(row)))
      },
    })
  })
}

function valueText(row: OptionValueView): string {
  return `${row.value ?? '(null)'}${row.isDefault ? ' (DEFAULT)' : ''}`
}

function columns(left: string, right: string): string {
  return `${left.padEnd(40)} ${right.padEnd(39)}`
}
