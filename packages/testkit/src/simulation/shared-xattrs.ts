/** Which extended attributes the copies of a file have in common: all but those of each brick. */

const OWN_PREFIXES = ['trusted.afr.', 'trusted.gfid', 'trusted.glusterfs.mdata']

export function isShared(name: string): boolean {
  return !OWN_PREFIXES.some(prefix => name.startsWith(prefix))
}
