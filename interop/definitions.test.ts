// The same commands given to both kinds of servers leave the same definitions: what glusterd keeps
// of a volume, with its volume files, is compared after each step.
import { describe, expect, test } from 'vitest'
import { Machine } from '@ashlar/testkit'
import { type Kind, obstacle, PROGRAMS } from './servers.ts'

const B = (...numbers: readonly number[]): string =>
  numbers.map(n => `server1:/data/b${n}`).join(' ')

/** Commands in their order; those that are refused are refused by both, with the same words. */
const STEPS: readonly string[] = [
  `create v replica 2 ${B(1, 2)} force`,
  `add-brick v replica 2 ${B(3)} force`,
  `add-brick v replica 3 ${B(3, 4)} force`,
  `add-brick v ${B(3, 4)} force`,
  `remove-brick v ${B(3, 4)} force`,
  `add-brick v replica 3 arbiter 1 ${B(3)} force`,
  `add-brick v replica 4 ${B(4)} force`,
  `remove-brick v replica 2 ${B(1)} force`,
  `remove-brick v replica 2 ${B(3)} force`,
  `add-brick v replica 3 ${B(5)} force`,
  `add-brick v ${B(6, 7)} force`,
  `add-brick v ${B(6, 7, 8)} force`,
  `remove-brick v replica 2 ${B(1, 2)} force`,
  `remove-brick v replica 3 ${B(1)} force`,
  `remove-brick v replica 4 ${B(1)} force`,
  `remove-brick v ${B(1, 6, 7)} force`,
  `remove-brick v ${B(1, 2)} force`,
  `remove-brick v replica 2 ${B(2, 7)} force`,
  `remove-brick v replica 1 ${B(1, 6)} force`,
  `remove-brick v ${B(5, 8)} force`,
  `remove-brick v ${B(9)} force`,
  `remove-brick v replica 2 ${B(5)} force`,
  `add-brick v replica 2 ${B(9, 10)} force`,
  `heal v`,
  `heal v info`,
  `replace-brick v ${B(9)} ${B(11)} commit force`,
  `reset-brick v ${B(9)} start`,
  `create d ${B(21)} force`,
  `replace-brick d ${B(21)} ${B(22)} commit force`,
  `heal d enable`,
  `heal d statistics`,
]

interface Outcome {
  readonly said: string
  /** All files of the definitions. */
  readonly kept: string
}

async function outcome(machine: Machine, kind: Kind, step: string): Promise<Outcome> {
  const said = await machine.script(
    `${PROGRAMS[kind]}/gluster --mode=script volume ${step} 2>&1 || echo "status $?"`,
  )
  const kept = await machine.script(`
cd /var/lib/glusterd/vols
for file in $(find . -name info -o -path '*/bricks/*' -o -name '*.vol' | sort); do
  echo "== $file"; cat $file
done`)
  return { said, kept: plain(kept) }
}

/** Where GlusterFS only says that it failed, ours may say why. */
const UNEXPLAINED = /operation failed\n/i

/** Identities are the volume's own. */
function plain(text: string): string {
  return text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/^brick-fsid=.*$/gm, 'brick-fsid')
}

describe.skipIf(obstacle !== undefined)('the same commands', () => {
  test('leave the same definitions', async () => {
    await using ours = await Machine.start()
    await using theirs = await Machine.start()
    const machines = { ours, glusterfs: theirs }
    for (const [kind, machine] of Object.entries(machines) as [Kind, Machine][]) {
      await machine.script(
        `mkdir -p /run/gluster /var/lib/glusterd; ${PROGRAMS[kind]}/glusterd -p /run/glusterd.pid`,
      )
    }
    for (const step of STEPS) {
      const [mine, recorded] = await Promise.all([
        outcome(ours, 'ours', step),
        outcome(theirs, 'glusterfs', step),
      ])
      if (UNEXPLAINED.test(recorded.said)) expect.soft(mine.said).toContain('\nstatus 1\n')
      else expect.soft(`${step}\n${mine.said}`).toBe(`${step}\n${recorded.said}`)
      expect.soft(`${step}\n${mine.kept}`).toBe(`${step}\n${recorded.kept}`)
    }
  })
})
