/**
 * CountedNetwork: a network that keeps the calls of fops that go out through it, so that a test can
 * say how many round trips an operation takes, and which.
 *
 * A call's round is one more than that of the latest call answered before it was sent: calls that
 * are under way together share a round, however many bricks they go to.
 */

import type { Network, StreamHandler } from '@ashlar/core'
import {
  type CallHeader,
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
const { COMPOUND } = compoundProgram.procedures

export interface SentCall {
  /** Name of the procedure; of a compound with its steps: `COMPOUND(INODELK MKDIR)`. */
  readonly name: string
  /** From 1. */
  readonly round: number
}

export interface CountedNetwork extends Network {
  /** The last round of which an answer has come, since the last `take`. */
  readonly rounds: number
  /** Calls that were sent since the last `take`, in order. */
  take(): SentCall[]
}

export function countedNetwork(network: Network): CountedNetwork {
  let sent: SentCall[] = []
  let rounds = 0

  /** Both directions of one connection. */
  const watch = () => {
    const waiting = new Map<number, SentCall>()
    const out = new RecordAssembler((buffer, start, end) => {
      const reader = new Reader().reset(buffer, start, end, false)
      const { xid, type } = decodeMessageStart(reader)
      if (type !== MessageType.CALL) return
      const name = nameOf(decodeCall(reader, xid), reader)
      if (name === undefined) return
      const call = { name, round: rounds + 1 }
      waiting.set(xid, call)
      sent.push(call)
    })
    const back = new RecordAssembler((buffer, start, end) => {
      const { xid, type } = decodeMessageStart(new Reader().reset(buffer, start, end, false))
      const call = type === MessageType.REPLY ? waiting.get(xid) : undefined
      if (call === undefined || !sent.includes(call)) return
      rounds = Math.max(rounds, call.round)
    })
    return { out, back }
  }

  return {
    connect(address, handler, options) {
      const { out, back } = watch()
      const watching: StreamHandler = {
        opened: () => handler.opened(),
        target: () => handler.target(),
        received(buffer, length) {
          back.received(Buffer.from(buffer.subarray(0, length)), length)
          handler.received(buffer, length)
        },
        drained: () => handler.drained(),
        closed: reason => handler.closed(reason),
      }
      const stream = network.connect(address, watching, options)
      const write = stream.write.bind(stream)
      stream.write = chunks => {
        for (const chunk of chunks) out.received(Buffer.from(chunk), chunk.length)
        write(chunks)
      }
      return stream
    },
    listen: (address, accept) => network.listen(address, accept),
    get rounds() {
      return rounds
    },
    take() {
      const taken = sent
      sent = []
      rounds = 0
      return taken
    },
  }
}

/** Undefined for calls that are no fops. */
function nameOf(call: CallHeader, reader: Reader): string | undefined {
  const program = PROGRAMS.find(each => each.number === call.program)
  const row = program?.byNumber[call.procedure]
  if (row !== COMPOUND) return row?.name
  const steps = COMPOUND.request.decode(reader).map(step => step.row.name)
  return `COMPOUND(${steps.join(' ')})`
}
