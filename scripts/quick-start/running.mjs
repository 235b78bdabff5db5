// One quick start for each folder, and what a killed one has left behind.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { unmountPath } from './mount.mjs'
import { Problem, within } from './programs.mjs'

const END_MS_MAX = 20_000

/** Takes the folder for this process; returns how to give it back. */
export function claim(home) {
  const other = processIn(home.pidFile, 'quick-start')
  if (other !== undefined) {
    throw new Problem(
      `Process ${other} runs in ${home.path} already. ` +
        'Stop it, or name another folder with ASHLAR_HOME=/some/folder',
    )
  }
  writeFileSync(home.pidFile, `${process.pid}\n`)
  return () => rmSync(home.pidFile, { force: true })
}

/** Ends the glusterd and the mount of a quick start that had no time to. Bricks are found again. */
export async function clearLeftovers(home) {
  await unmountPath(home.mount)
  for (const [file, word] of [
    [home.mountPidFile, home.mount],
    [home.daemonPidFile, 'glusterd'],
  ]) {
    const pid = processIn(file, word)
    if (pid !== undefined) {
      process.kill(pid, 'SIGTERM')
      if (!(await within(END_MS_MAX, () => processIn(file, word) === undefined)))
        throw new Problem(`Process ${pid}, left by an earlier start, does not end.`)
    }
    rmSync(file, { force: true })
  }
}

/** The live process of a pid file, when `word` is in its command line. */
export function processIn(file, word) {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word) ? pid : undefined
  } catch {
    return undefined
  }
}
