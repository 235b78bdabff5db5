/**
 * Names of the control sockets of brick processes: a hash, because paths of bricks are longer than
 * a socket's name may be. GlusterFS's own rule (glusterd_set_socket_filepath), so that running
 * bricks are found when a server's state is adopted.
 */

import xxhash from 'xxhash-wasm'

/** Maps the path a socket would have to the name it has. */
export type SocketNamer = (wouldBe: string) => string

/** Loads the hash function. */
export async function loadSocketNamer(): Promise<SocketNamer> {
  const hash = await xxhash()
  return text => `${hash.h64ToString(text)}.socket`
}
