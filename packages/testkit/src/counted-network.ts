/**
 * CountedNetwork: a network that keeps the names of the calls that go out through it, so that a test
 * can say how many round trips an operation takes, and which.
 */

import type { Network, Stream } from '@ashlar/core'
import {
  compoundProgram,
  decodeCall,
  decodeMessageStart,
  fopProgram,
  MessageType,
  type Program,
  Reader,
  RecordAssembler,
} from '@ashlar/wire'

const PROGRAMS: readonly Program[] = [fopProgram, compoundProgram]

export interface SentCall {
  /** Name of the procedure; of a compound with its steps: `COMPOUND(INODELK MKDIR)`. */
  readonly name: string
  /** Calls that leave in the same write travel together. */
  readonly write: number
}

export interface CountedNetwork extends Network {
  /** Calls of fops that were sent since the last `take`, in order. */
  take(): SentCall[]
}

export function countedNetwork(network: Network): CountedNetwork {
  let sent: SentCall[] = []
  let writes = 0
  const watch = (): ((chunks: readonly Buffer[]) => void) => {
    const assembler = new RecordAssembler((buffer, start, end) => {
      const reader = new Reader().reset(buffer, start, end, false)
      const { xid, type } = decodeMessageStart(reader)
      if (type !== MessageType.CALL) return
      const call = decodeCall(reader, xid)
      const program = PROGRAMS.find(each => each.number === call.program)
      const row = program?.byNumber[call.procedure]
      if (row === undefined) return
      const compound = compoundProgram.procedures.COMPOUND
      const name =
        row === compound
          ? `COMPOUND(${compound.request
              .decode(reader)
              .map(step => step.row.name)
              .join(' ')})`
          : row.name
      sent.push({ name, write: writes })
    })
    return chunks => {
      writes += 1
      for (const chunk of chunks) assembler.received(Buffer.from(chunk), chunk.length)
    }
  }
  return {
    connect(address, handler, options) {
      const stream = network.connect(address, handler, options)
      const seen = watch()
      return new Proxy(stream, {
        get(target, key) {
          if (key === 'write')
            return (chunks: readonly Buffer[]): void => {
              seen(chunks)
              target.write(chunks)
            }
          const value: unknown = Reflect.get(target, key, target)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      }) satisfies Stream
    },
    listen: (address, accept) => network.listen(address, accept),
    take() {
      const taken = sent
      sent = []
      return taken
    },
  }
}
