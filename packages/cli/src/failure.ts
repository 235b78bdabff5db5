/**
 * How a refused request is shown: by each command in its own words, in XML, or as JSON.
 */

import { RefusedError } from './api-client.ts'
import type { CommandInput } from './command.ts'
import { cliOutput, element, type XmlElement } from './xml.ts'

/** General failure of a glusterd operation in XML documents. */
export const OPERATION_FAILED = 30_800
/** No such volume, where GlusterFS is so precise. */
export const NO_SUCH_VOLUME = 30_806

export interface FailureForm {
  /** The line on standard error. */
  readonly text: (message: string) => string
  /** opErrno of the document. */
  readonly errno?: number
  /** The exit status of a document keeps the failure, where GlusterFS's does. */
  readonly documentFails?: boolean
  /** What else the document holds. */
  readonly body?: readonly XmlElement[]
  /** cliOp and output of the document. */
  readonly operation?: { readonly name: string; readonly output: (message: string) => string }
}

/**
 * Runs `action`; a refusal is shown in `form` and becomes the exit status. In XML the failure is in
 * the document and the status is 0, as GlusterFS has it.
 */
export async function reporting(
  input: CommandInput,
  form: FailureForm,
  action: () => Promise<number>,
): Promise<number> {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    return showRefusal(input, form, error)
  }
}

function showRefusal(input: CommandInput, form: FailureForm, error: RefusedError): number {
  const { terminal, options } = input
  const { message, exitStatus } = error.body
  if (options.format === 'json') {
    terminal.out(JSON.stringify({ error: error.body }))
    return exitStatus
  }
  if (options.format === 'xml') {
    const { operation, body = [] } = form
    terminal.out(
      cliOutput({ ret: -1, errno: form.errno ?? OPERATION_FAILED, message }, [
        operation === undefined ? undefined : element('cliOp', operation.name),
        operation === undefined ? undefined : element('output', operation.output(message)),
        ...body,
      ]),
    )
    return form.documentFails === true ? exitStatus : 0
  }
  terminal.err(form.text(message))
  return exitStatus
}

/** A success: JSON of `value`, the XML of `body`, or the lines of `text`. */
export function show(
  input: CommandInput,
  forms: {
    readonly json: unknown
    readonly xml: () => string
    readonly text: () => void
  },
): number {
  if (input.options.format === 'json') input.terminal.out(JSON.stringify(forms.json))
  else if (input.options.format === 'xml') input.terminal.out(forms.xml())
  else forms.text()
  return 0
}

/** Result fields of a success. */
export const SUCCESS = { ret: 0, errno: 0, message: '' } as const
