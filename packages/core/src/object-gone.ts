/**
 * What an operation has left without a name. Fops that remove names say how a directory has changed,
 * not what became of the object; a layer of a brick that keeps notes on objects asks storage/posix by
 * a key in the request's xdata, and takes the answer out of the reply. Neither goes over the wire.
 */

import { Dict } from './dict.ts'
import type { Gfid } from './gfid.ts'

const KEY = 'ashlar.object-gone'

/** The request's xdata with the question in it. */
export function askingWhatGoes(xdata: Dict | undefined): Dict {
  return (xdata?.clone() ?? new Dict()).setUint(KEY, 1)
}

/** The reply's xdata with the answer, if it was asked for. `gone`: no name leads there any more. */
export function tellingWhatWent(
  asked: Dict | undefined,
  gone: Gfid | undefined,
  xdata?: Dict,
): Dict | undefined {
  if (gone === undefined || asked?.has(KEY) !== true) return xdata
  return (xdata ?? new Dict()).setGfid(KEY, gone)
}

/** The object that lost its last name, taken out of the reply's xdata. It may still be open. */
export function takeWhatWent(xdata: Dict | undefined): Gfid | undefined {
  const gone = xdata?.getGfid(KEY)
  if (gone !== undefined) xdata?.delete(KEY)
  return gone
}
