/**
 * @packageDocumentation
 * A volume as a library: no mount and no native GlusterFS library.
 *
 *     import { connect } from 'ashlar'
 *
 *     await using volume = await connect({ server: 'server1', volume: 'gv0' })
 *     await volume.writeFile('/hello.txt', 'hello')
 */

export type { Data, EncodingOption, WholeData } from './bytes.ts'
export * from './connect.ts'
export { Dir } from './dir.ts'
export { AbortError, ConnectError, FsError } from './errors.ts'
export * from './file-handle.ts'
export * from './objects.ts'
export type { PathLike } from './path-walk.ts'
export { Dirent, type StatFs, Stats } from './stats.ts'
export type { ReadStreamOptions, WriteStreamOptions } from './streams.ts'
export type { TimeLike } from './attributes.ts'
export { type FileOptions, type OpenOptions, Volume, type VolumeParts } from './volume.ts'
export { Session, type SessionOptions } from './session.ts'
export type { SetXattrOptions, XattrOptions, Xattrs } from './xattrs.ts'
