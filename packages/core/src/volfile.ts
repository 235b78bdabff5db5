/**
 * Volfiles: the text that describes a graph of translators, parsed and printed.
 * Grammar as in libglusterfs/src/graph.l and graph.y; the printed form is
 * glusterd's own, byte for byte.
 */

export interface VolfileNode {
  readonly name: string
  /** `cluster/distribute` and so on. */
  readonly type: string
  readonly options: ReadonlyMap<string, string>
  readonly subvolumes: readonly string[]
}

/** Nodes in file order: leaves first, the last is the top of the graph. */
export interface Volfile {
  readonly nodes: readonly VolfileNode[]
}

export class VolfileError extends Error {
  override name = 'VolfileError'
  readonly line: number

  constructor(line: number, message: string) {
    super(`volfile line ${line}: ${message}`)
    this.line = line
  }
}

interface Word {
  readonly text: string
  readonly line: number
  readonly quoted: boolean
}

function* words(text: string): Generator<Word> {
  let line = 1
  const scanner = /[ \t\r]+|\n|#[^\n]*|"((?:[^"\\]|\\[\s\S])*)"|[^\s"]+|"/gy
  for (let match = scanner.exec(text); match !== null; match = scanner.exec(text)) {
    const token = match[0]
    if (token === '\n') line += 1
    else if (token === '"') throw new VolfileError(line, 'a quotation mark is not closed')
    else if (match[1] !== undefined) yield { text: match[1], line, quoted: true }
    else if (token.trim() !== '' && !token.startsWith('#'))
      yield { text: token, line, quoted: false }
    if (match[1] !== undefined) line += match[1].split('\n').length - 1
  }
}

const KEYWORDS = new Set(['volume', 'type', 'option', 'subvolumes', 'end-volume'])

function keyword(word: Word | undefined): string | undefined {
  if (word === undefined || word.quoted) return undefined
  const text = word.text.toLowerCase()
  return KEYWORDS.has(text) ? text : undefined
}

interface Draft {
  name: string
  line: number
  type: string | undefined
  options: Map<string, string>
  subvolumes: string[] | undefined
}

/** Throws VolfileError with the line of the first mistake. */
export function parseVolfile(text: string): Volfile {
  const all = [...words(text)]
  const nodes: VolfileNode[] = []
  const names = new Set<string>()
  let draft: Draft | undefined
  let at = 0
  const lineNow = (): number => all[at]?.line ?? all.at(-1)?.line ?? 1
  const take = (what: string): string => {
    const word = all[at]
    if (word === undefined) throw new VolfileError(lineNow(), `${what} is missing`)
    at += 1
    return word.text
  }

  while (at < all.length) {
    const word = all[at] as Word
    const key = keyword(word)
    at += 1
    if (key === 'volume') {
      if (draft !== undefined)
        throw new VolfileError(word.line, `volume '${draft.name}' has no end-volume`)
      const name = take('the name of the volume')
      if (names.has(name)) throw new VolfileError(word.line, `volume '${name}' is defined twice`)
      draft = { name, line: word.line, type: undefined, options: new Map(), subvolumes: undefined }
      continue
    }
    if (draft === undefined)
      throw new VolfileError(word.line, `'${word.text}' stands outside of a volume`)
    if (key === 'type') {
      if (draft.type !== undefined)
        throw new VolfileError(word.line, `volume '${draft.name}' has two types`)
      draft.type = take('the type')
    } else if (key === 'option') {
      const name = take('the name of the option')
      draft.options.set(name, optionValue())
    } else if (key === 'subvolumes') {
      if (draft.subvolumes !== undefined) {
        throw new VolfileError(word.line, `volume '${draft.name}' lists subvolumes twice`)
      }
      draft.subvolumes = subvolumeNames()
    } else if (key === 'end-volume') {
      if (draft.type === undefined)
        throw new VolfileError(word.line, `volume '${draft.name}' has no type`)
      nodes.push({
        name: draft.name,
        type: draft.type,
        options: draft.options,
        subvolumes: draft.subvolumes ?? [],
      })
      names.add(draft.name)
      draft = undefined
    } else {
      throw new VolfileError(word.line, `'${word.text}' is not understood`)
    }
  }
  if (draft !== undefined)
    throw new VolfileError(lineNow(), `volume '${draft.name}' has no end-volume`)
  if (nodes.length === 0) throw new VolfileError(1, 'no volume is defined')
  return { nodes }

  /** glusterd writes values that hold blanks without quotation marks: the value is the rest of the line. */
  function optionValue(): string {
    const line = (all[at - 1] as Word).line
    const parts: string[] = []
    while (at < all.length && (all[at] as Word).line === line) {
      parts.push((all[at] as Word).text)
      at += 1
    }
    if (parts.length === 0) throw new VolfileError(line, 'an option has no value')
    return parts.join(' ')
  }

  function subvolumeNames(): string[] {
    const list: string[] = []
    while (at < all.length && keyword(all[at]) === undefined) {
      const word = all[at] as Word
      if (!names.has(word.text))
        throw new VolfileError(word.line, `subvolume '${word.text}' is not defined`)
      list.push(word.text)
      at += 1
    }
    if (list.length === 0) throw new VolfileError(lineNow(), 'subvolumes lists none')
    return list
  }
}

/** The text as glusterd writes it: a blank line between volumes, none at the end. */
export function printVolfile(volfile: Volfile): string {
  return volfile.nodes.map(printNode).join('\n')
}

function printNode(node: VolfileNode): string {
  let text = `volume ${printName(node.name)}\n    type ${node.type}\n`
  for (const [key, value] of node.options)
    text += `    option ${printName(key)} ${printValue(value)}\n`
  if (node.subvolumes.length > 0)
    text += `    subvolumes ${node.subvolumes.map(printName).join(' ')}\n`
  return `${text}end-volume\n`
}

/** Translators and options that are named after a brick's path may have blanks in their name. */
function printName(name: string): string {
  return /[\s#]/.test(name) ? `"${name}"` : name
}

/** A value may be several words; more than one blank between them would not survive. */
function printValue(value: string): string {
  return /[\t#]|^ | $| {2}/.test(value) ? `"${value}"` : value
}

/** True when only options differ: a graph of one can be reconfigured into the other. */
export function sameTopology(one: Volfile, other: Volfile): boolean {
  if (one.nodes.length !== other.nodes.length) return false
  return one.nodes.every((node, i) => {
    const twin = other.nodes[i] as VolfileNode
    return (
      node.name === twin.name &&
      node.type === twin.type &&
      node.subvolumes.length === twin.subvolumes.length &&
      node.subvolumes.every((name, k) => name === twin.subvolumes[k])
    )
  })
}
