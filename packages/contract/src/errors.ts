/**
 * Every way in which a management request can fail: the code that programs test, the HTTP status,
 * and the exit status of the command line. The message is made where the error happens and is
 * GlusterFS's own text where GlusterFS has one.
 */

import { z } from 'zod'

interface ErrorRow {
  readonly httpStatus: number
  readonly exitStatus: number
  readonly meaning: string
}

/** The registry. A code never changes its meaning. */
export const MANAGEMENT_ERRORS = {
  REQUEST_INVALID: { httpStatus: 400, exitStatus: 1, meaning: 'The request has the wrong form.' },
  VOLUME_NOT_FOUND: { httpStatus: 404, exitStatus: 1, meaning: 'There is no such volume.' },
  VOLUME_EXISTS: { httpStatus: 409, exitStatus: 1, meaning: 'The name is taken.' },
  VOLUME_STARTED: { httpStatus: 409, exitStatus: 1, meaning: 'The volume must be stopped first.' },
  VOLUME_NOT_STARTED: { httpStatus: 409, exitStatus: 1, meaning: 'The volume is not started.' },
  VOLUME_SHAPE_INVALID: {
    httpStatus: 422,
    exitStatus: 1,
    meaning: 'Counts of bricks, replicas or redundancy do not fit together.',
  },
  BRICK_INVALID: { httpStatus: 422, exitStatus: 1, meaning: 'A brick path cannot be used.' },
  BRICK_IN_USE: { httpStatus: 409, exitStatus: 1, meaning: 'A brick belongs to a volume.' },
  BRICK_NOT_FOUND: { httpStatus: 404, exitStatus: 1, meaning: 'The volume has no such brick.' },
  BRICK_MISMATCH: {
    httpStatus: 409,
    exitStatus: 1,
    meaning: 'A brick directory is missing or belongs to another volume.',
  },
  BRICK_START_FAILED: { httpStatus: 500, exitStatus: 1, meaning: 'A brick process did not start.' },
  BRICK_STOP_FAILED: { httpStatus: 500, exitStatus: 1, meaning: 'A brick process did not end.' },
  HOST_UNKNOWN: { httpStatus: 422, exitStatus: 1, meaning: 'The host is not in the pool.' },
  OPTION_UNKNOWN: { httpStatus: 422, exitStatus: 1, meaning: 'There is no such option.' },
  OPTION_INVALID: { httpStatus: 422, exitStatus: 1, meaning: 'The value does not fit the option.' },
  OPTION_REFUSED: {
    httpStatus: 409,
    exitStatus: 1,
    meaning: 'The option cannot be changed like this or now.',
  },
  GROUP_NOT_FOUND: { httpStatus: 404, exitStatus: 1, meaning: 'There is no such option profile.' },
  GROUP_INVALID: { httpStatus: 422, exitStatus: 1, meaning: 'The option profile is damaged.' },
  HEAL_UNAVAILABLE: {
    httpStatus: 409,
    exitStatus: 1,
    meaning: 'The volume keeps no copies, or nobody looks after them now.',
  },
  HEAL_FAILED: { httpStatus: 500, exitStatus: 1, meaning: 'Bricks could not be looked at.' },
  VOLFILE_NOT_FOUND: { httpStatus: 404, exitStatus: 1, meaning: 'No volfile has this id.' },
  NOT_AVAILABLE: {
    httpStatus: 501,
    exitStatus: 1,
    meaning: 'Known to GlusterFS, not yet to this release.',
  },
  INTERNAL: { httpStatus: 500, exitStatus: 1, meaning: 'A bug or a broken server: see its log.' },
} as const satisfies Record<string, ErrorRow>

/** A code of the registry. */
export type ManagementErrorCode = keyof typeof MANAGEMENT_ERRORS

const CODES = Object.keys(MANAGEMENT_ERRORS) as [ManagementErrorCode, ...ManagementErrorCode[]]

/** Body of every answer that is not a success. */
export const errorBody = z.object({
  code: z.enum(CODES),
  message: z.string(),
  exitStatus: z.number().int(),
})
/** Body of every answer that is not a success. */
export type ErrorBody = z.infer<typeof errorBody>

/** A management request that failed for a reason of the world, not through a bug of ours. */
export class ManagementError extends Error {
  override name = 'ManagementError'
  readonly code: ManagementErrorCode

  constructor(code: ManagementErrorCode, message: string) {
    super(message)
    this.code = code
  }

  get httpStatus(): number {
    return MANAGEMENT_ERRORS[this.code].httpStatus
  }

  get body(): ErrorBody {
    const { exitStatus } = MANAGEMENT_ERRORS[this.code]
    return { code: this.code, message: this.message, exitStatus }
  }
}
