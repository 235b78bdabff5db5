/** Device numbers as Linux user space has them in 64 bits (sys/sysmacros.h makedev). */

/** makedev(3): majors and minors beyond 12 and 8 bits go to the upper half. */
export function makedev(major: number, minor: number): number {
  return (
    (minor & 0xff) +
    (major & 0xfff) * 0x100 +
    (minor >>> 8) * 0x100000 +
    Math.floor(major / 0x1000) * 2 ** 44
  )
}

/** The major number in what `makedev` made. */
export function majorOf(dev: number): number {
  return (Math.floor(dev / 0x100) & 0xfff) + Math.floor(dev / 2 ** 44) * 0x1000
}

/** The minor number in what `makedev` made. */
export function minorOf(dev: number): number {
  return (dev & 0xff) + (Math.floor(dev / 0x100000) & 0xffffff) * 0x100
}
