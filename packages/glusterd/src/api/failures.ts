/**
 * What every route may answer in place of a success.
 */

import { errorBody } from '@ashlar/contract'

/** Responses by HTTP status class. */
export const failures = { '4xx': errorBody, '5xx': errorBody } as const
