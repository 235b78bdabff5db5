/** Patterns as fnmatch(3) knows them, of `*`, `?` and brackets: option names, xattr names. */

const SPECIAL = /[.+^${}()|\\]/g

/** A regular expression for a pattern; one that matches nothing for a malformed pattern. */
export function globRegExp(glob: string): RegExp {
  const body = glob.replace(SPECIAL, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  try {
    return new RegExp(`^${body}$`, 's')
  } catch {
    return /^(?!)$/
  }
}
