/**
 * History: what clients asked for, when, and what they were told. Everything that the checks look at
 * is a register: a block of a file, an attribute of it, a name of a directory. Operations write some
 * registers or read some.
 */

/** Bytes of one register of a file's data: a block, written whole or not at all. */
export const BLOCK_BYTES = 128
/** Blocks of a file. */
export const BLOCKS = 4

/** What a register holds: the name of what was written, or one of the words below. */
export type Value = string
/** A block that was never written; a name that is not there. */
export const EMPTY: Value = '-'

/** One operation of a client. Times in ms. */
export interface Operation {
  readonly client: string
  text: string
  readonly started: number
  /** When it was answered; infinite as long as it was not. */
  ended: number
  /** 0: done. Else it may have been done or not. */
  errno: number
  /** Answered at all. */
  answered: boolean
  /** By register: what it writes. */
  readonly writes: Map<string, Value>
  /** By register: what it has read. */
  readonly reads: Map<string, Value>
  /** Answered well, and yet it may have done nothing. */
  unsure: boolean
}

/** Errno of an operation of which nobody was told. */
export const UNKNOWN = -1

export class History {
  readonly operations: Operation[] = []
  readonly lines: string[] = []
  /** Registers whose first value is not EMPTY. */
  readonly initial = new Map<string, Value>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  begin(client: string, text: string): Operation {
    const operation: Operation = {
      client,
      text,
      started: this.#now(),
      ended: Number.POSITIVE_INFINITY,
      errno: UNKNOWN,
      answered: false,
      writes: new Map(),
      reads: new Map(),
      unsure: false,
    }
    this.operations.push(operation)
    return operation
  }

  /** It has been answered. */
  end(operation: Operation, errno: number, result = ''): void {
    operation.ended = this.#now()
    operation.errno = errno
    operation.answered = true
    const took = (operation.ended - operation.started).toFixed(1)
    const outcome = errno === 0 ? `ok ${result}` : `errno ${errno}`
    this.note(`${operation.client} ${operation.text}: ${outcome} (${took} ms)`)
  }

  note(text: string): void {
    this.lines.push(`${this.#now().toFixed(3).padStart(11)} ${text.trimEnd()}`)
  }
}

/** Register of a block of a file. */
export function blockRegister(gfid: string, block: number): string {
  return `${gfid} block ${block}`
}

/** Register of a name in a directory. */
export function nameRegister(directory: string, name: string): string {
  return `${directory} name ${name}`
}

/** Register of an attribute. */
export function attributeRegister(gfid: string, attribute: string): string {
  return `${gfid} ${attribute}`
}

/** The content of a block with this value. */
export function blockOf(value: Value): Buffer {
  return value === EMPTY ? Buffer.alloc(BLOCK_BYTES) : Buffer.alloc(BLOCK_BYTES, `<${value}>`)
}

/** The value of a block; what is in none of ours is told as it is. */
export function valueOf(block: Buffer): Value {
  if (block.every(byte => byte === 0)) return EMPTY
  const value = block.toString('latin1', 1, block.indexOf('>'))
  if (block.length === BLOCK_BYTES && block.equals(blockOf(value))) return value
  return `torn ${block.toString('latin1', 0, 24)}`
}

/** The values of all blocks of a file's content. */
export function valuesOf(data: Buffer): Value[] {
  return Array.from({ length: BLOCKS }, (_, block) => {
    const bytes = Buffer.alloc(BLOCK_BYTES)
    data.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES).copy(bytes)
    return valueOf(bytes)
  })
}
