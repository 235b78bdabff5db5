import { Errno } from '@ashlar/core'
import { type HealJob, type Outcome, unhealed } from './job.ts'
export async function healEntries(job: HealJob): Promise<Outcome> {
  return unhealed(Errno.ENOSYS, `not yet ${job.brick(0)}`)
}
