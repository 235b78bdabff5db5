/**
 * One call to a process of this server over its control socket.
 */

import { existsSync } from 'node:fs'
import { Dict, type Env } from '@ashlar/core'
import { isFailure, RpcClient } from '@ashlar/transport'
import { brickProgram } from '@ashlar/wire'

/** How long a process may take to answer, unless the operation says more. */
const ANSWER_MS_MAX = 5_000

export interface ProcessAnswer {
  readonly ret: number
  readonly output: Dict
  readonly message: string
}

export type ProcessOperation =
  | 'TERMINATE'
  | 'STATUS'
  | 'XLATOR_OP'
  | 'NODE_STATUS'
  | 'SVC_ATTACH'
  | 'SVC_DETACH'

export interface Question {
  /** A brick's path, a volfile id, or nothing. */
  readonly name?: string
  /** A dict, or the bytes of a volfile for SVC_ATTACH. */
  readonly input?: Dict | Buffer
  readonly dict?: Dict
  readonly answerMs?: number
}

/** Undefined when the process cannot be reached or does not answer in time. */
export function askProcess(
  env: Env,
  socket: string,
  operation: ProcessOperation,
  question: Question,
): Promise<ProcessAnswer | undefined> {
  if (!existsSync(socket)) return Promise.resolve(undefined)
  return new Promise(resolve => {
    const row = brickProgram.procedures[operation as 'STATUS']
    const finish = (answer: ProcessAnswer | undefined): void => {
      timer.cancel()
      client.stop()
      resolve(answer)
    }
    const { name = '', input = new Dict(), dict = new Dict(), answerMs } = question
    const timer = env.clock.after(answerMs ?? ANSWER_MS_MAX, () => finish(undefined))
    const client = new RpcClient({
      env,
      name: socket,
      address: () => ({ path: socket }),
      connected: () => {
        const args = { name, op: row.num, input: input as Dict, dict }
        void client.call(brickProgram, row, args).then(reply => {
          if (isFailure(reply)) return finish(undefined)
          const { ret, output, errstr } = reply
          finish({ ret, output: output ?? new Dict(), message: errstr })
        })
      },
    })
    client.start()
  })
}
