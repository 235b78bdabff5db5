/**
 * A volfile being put together, bottom up. Options are kept in the order they were set; glusterd
 * writes the newest first, and setting a key again keeps its place (glusterd-volgen.c).
 */

import { printVolfile } from '@ashlar/core'
import { OPTION_TABLE } from '../options/table.ts'

export class NodeDraft {
  readonly name: string
  readonly type: string
  readonly options = new Map<string, string>()
  readonly subvolumes: readonly string[]

  constructor(type: string, name: string, subvolumes: readonly string[]) {
    this.type = type
    this.name = name
    this.subvolumes = subvolumes
  }

  set(key: string, value: string | number): this {
    this.options.set(key, String(value))
    return this
  }
}

export class GraphDraft {
  readonly nodes: NodeDraft[] = []

  /** Adds a translator over the newest one (over none when it is the first). */
  over(type: string, name: string): NodeDraft {
    const below = this.nodes.at(-1)
    return this.add(type, name, below === undefined ? [] : [below.name])
  }

  add(type: string, name: string, subvolumes: readonly string[]): NodeDraft {
    const node = new NodeDraft(type, name, subvolumes)
    this.nodes.push(node)
    return node
  }

  /**
   * Writes the options of the table into every translator they belong to: what the volume has set,
   * else the table's default, else nothing. Keys that code handles are left out.
   */
  applyTable(options: ReadonlyMap<string, string>): void {
    for (const row of OPTION_TABLE) {
      if (row.handler !== undefined) continue
      const value = options.get(row.key) ?? row.mapDefault
      if (value === undefined) continue
      for (const node of this.nodes) if (node.type === row.xlator) node.set(row.option, value)
    }
  }

  print(): string {
    return printVolfile({
      nodes: this.nodes.map(node => ({
        name: node.name,
        type: node.type,
        options: new Map([...node.options].reverse()),
        subvolumes: node.subvolumes,
      })),
    })
  }
}
