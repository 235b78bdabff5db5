/**
 * One call to a brick process over its control socket.
 */

import { existsSync } from 'node:fs'
import { Dict, type Env } from '@ashlar/core'
import { isFailure, RpcClient } from '@ashlar/transport'
import { brickProgram } from '@ashlar/wire'

/** How long a brick may take to answer. */
const ANSWER_MS_MAX = 5_000

export interface BrickAnswer {
  readonly ret: number
  readonly output: Dict
}

/** Undefined when the process cannot be reached or does not answer in time. */
export function askBrick(
  env: Env,
  socket: string,
  operation: 'TERMINATE' | 'STATUS',
  name: string,
  input: Dict,
): Promise<BrickAnswer | undefined> {
  if (!existsSync(socket)) return Promise.resolve(undefined)
  return new Promise(resolve => {
    const row = brickProgram.procedures[operation]
    const finish = (answer: BrickAnswer | undefined): void => {
      timer.cancel()
      client.stop()
      resolve(answer)
    }
    const timer = env.clock.after(ANSWER_MS_MAX, () => finish(undefined))
    const client = new RpcClient({
      env,
      name: socket,
      address: () => ({ path: socket }),
      connected: () => {
        const args = { name, op: row.num, input, dict: new Dict() }
        void client.call(brickProgram, row, args).then(reply => {
          if (isFailure(reply)) finish(undefined)
          else finish({ ret: reply.ret, output: reply.output ?? new Dict() })
        })
      },
    })
    client.start()
  })
}
