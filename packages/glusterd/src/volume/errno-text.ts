/**
 * The C library's words for errors, which GlusterFS puts into its messages.
 */

import { getSystemErrorMap } from 'node:util'

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EEXIST: 'File exists',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
  ENOSPC: 'No space left on device',
  ENOTSUP: 'Operation not supported',
  EOPNOTSUPP: 'Operation not supported',
  ENODATA: 'No data available',
  ENAMETOOLONG: 'File name too long',
  ELOOP: 'Too many levels of symbolic links',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
}

/** Of a negative errno as system calls give it, or of an error of Node's. */
export function errnoText(error: unknown): string {
  const number =
    typeof error === 'number' ? error : ((error as NodeJS.ErrnoException | undefined)?.errno ?? 0)
  const [name, message] = getSystemErrorMap().get(number) ?? ['', `error ${number}`]
  return TEXTS[name] ?? message
}
