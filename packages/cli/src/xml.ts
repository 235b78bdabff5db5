/**
 * XML as GlusterFS's CLI prints it: two blanks of indentation, empty elements closed in one tag.
 */

export interface XmlElement {
  readonly name: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly content: string | number | readonly XmlElement[]
  /** Text before the children; such an element stands on one line. */
  readonly lead?: string
}

/** An element; a list of children may hold gaps. */
export function element(
  name: string,
  content: string | number | readonly (XmlElement | undefined)[] = [],
): XmlElement {
  if (typeof content !== 'object') return { name, content }
  return { name, content: content.filter(child => child !== undefined) }
}

/** The document of a command's answer. */
export function cliOutput(
  result: { ret: number; errno: number; message: string },
  body: readonly (XmlElement | undefined)[] = [],
): string {
  return cliDocument([...resultElements(result), ...body])
}

/** What every document says of the command's result. */
export function resultElements(result: {
  ret: number
  errno: number
  message: string
}): XmlElement[] {
  return [
    element('opRet', result.ret),
    element('opErrno', result.errno),
    element('opErrstr', result.message),
  ]
}

/** A document with just these elements. */
export function cliDocument(content: readonly (XmlElement | undefined)[]): string {
  const root = element('cliOutput', content)
  return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n${printElement(root, '')}`
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function openingTag({ name, attributes }: XmlElement): string {
  const list = Object.entries(attributes ?? {})
    .map(([key, value]) => ` ${key}="${escapeText(value).replaceAll('"', '&quot;')}"`)
    .join('')
  return `${name}${list}`
}

function printElement(node: XmlElement, indent: string): string {
  const { name, content } = node
  if (node.lead !== undefined) return `${indent}${printInline(node)}`
  const opening = openingTag(node)
  if (typeof content !== 'object') {
    const text = escapeText(String(content))
    return `${indent}<${opening}${text === '' ? '/>' : `>${text}</${name}>`}`
  }
  if (content.length === 0) return `${indent}<${opening}/>`
  const children = content.map(child => printElement(child, `${indent}  `)).join('\n')
  return `${indent}<${opening}>\n${children}\n${indent}</${name}>`
}

function printInline(node: XmlElement): string {
  const { content } = node
  const inner =
    typeof content === 'object' ? content.map(printInline).join('') : escapeText(String(content))
  const lead = escapeText(node.lead ?? '')
  return `<${openingTag(node)}>${lead}${inner}</${node.name}>`
}
