/** Plan: what a seed's simulation consists of: the kind of volume, its options, clients and troubles. */

import { Dice } from './dice.ts'

/** Kinds of volumes that are simulated. */
export const SHAPES = ['replica-2', 'replica-2-quorum', 'replica-3', 'arbiter', 'two-sets'] as const
/**
 * Kinds that run only when they are asked for: which seed has which of the others stays as it is.
 * `crowd`: three copies, and many clients that move names of one directory over one another without
 * rest, while one brick is killed again and again.
 */
export const ASKED_SHAPES = ['replica-4', 'replica-5', 'crowd'] as const
export type Shape = (typeof SHAPES)[number] | (typeof ASKED_SHAPES)[number]

/** What can go wrong; a seed has some of these. */
export const TROUBLES = [
  'kill',
  'power',
  'partition',
  'silence',
  'full',
  'eio',
  'slow',
  'client',
] as const
export type Trouble = (typeof TROUBLES)[number]

export interface Plan {
  readonly seed: number
  readonly shape: Shape
  readonly clients: number
  /** Operations of each client, about. */
  readonly operations: number
  readonly troubles: readonly Trouble[]
  /** Number of times that something goes wrong. */
  readonly incidents: number
  /** Bricks of each set. */
  readonly setSize: number
  readonly sets: number
  readonly arbiter: boolean
  readonly quorum: boolean
  readonly crowded: boolean
  /** Options of cluster/replicate. */
  readonly options: Readonly<Record<string, string>>
}

/** What may be fixed instead of left to the seed. */
export interface PlanWishes {
  readonly shape?: Shape | undefined
  readonly troubles?: readonly Trouble[] | undefined
}

/** Bricks of a set, by the kind of volume. */
const SET_SIZES: Readonly<Record<Shape, number>> = {
  'replica-2': 2,
  'replica-2-quorum': 2,
  'replica-3': 3,
  arbiter: 3,
  'two-sets': 3,
  'replica-4': 4,
  'replica-5': 5,
  crowd: 3,
}

export function makePlan(seed: number, wishes: PlanWishes = {}): Plan {
  const dice = new Dice(seed, 'plan')
  const shape = wishes.shape ?? dice.pick(SHAPES)
  const setSize = SET_SIZES[shape]
  const quorum = shape !== 'replica-2'
  const crowded = shape === 'crowd'
  const granular = dice.chance(0.7)
  const options: Record<string, string> = {
    // Users of more than two copies say nothing, and have a quorum.
    ...(setSize > 2 ? {} : { 'quorum-type': quorum ? 'auto' : 'none' }),
    'granular-entry-heal': granular ? 'yes' : 'no',
    'use-anonymous-inode': dice.chance(0.8) ? 'yes' : 'no',
    'heal-timeout': '60',
    'read-hash-mode': String(dice.integer(4)),
  }
  if (dice.chance(crowded ? 0.7 : 0.2)) options['eager-lock'] = 'off'
  if (dice.chance(0.2)) {
    options['data-self-heal'] = 'on'
    options['metadata-self-heal'] = 'on'
    options['entry-self-heal'] = 'on'
  }
  if (shape === 'arbiter') options['arbiter-count'] = '1'
  // A write that half of four bricks have is acknowledged: one of those may not lose it.
  const sturdy = shape === 'replica-3' || shape === 'replica-5'
  const possible = TROUBLES.filter(each => each !== 'power' || sturdy)
  const usual: readonly Trouble[] = crowded ? ['kill'] : possible.filter(() => dice.chance(0.45))
  const chosen = wishes.troubles ?? usual
  // What a brick has lost with its power is told by the clients that wrote it: if they die in the
  // same moment, before any fsync, nobody knows.
  const troubles = chosen.filter(each => each !== 'client' || !chosen.includes('power'))
  return {
    seed,
    shape,
    clients: (crowded ? 4 : 1) + dice.integer(3),
    operations: (crowded ? 200 : 10) + dice.integer(40),
    troubles,
    incidents: troubles.length === 0 ? 0 : (crowded ? 5 : 1) + dice.integer(6),
    setSize,
    sets: shape === 'two-sets' ? 2 : 1,
    arbiter: shape === 'arbiter',
    quorum,
    crowded,
    options,
  }
}

/** One line for people. */
export function planText(plan: Plan): string {
  const options = Object.entries(plan.options).map(([key, value]) => `${key}=${value}`)
  return `${plan.shape}, ${plan.clients} clients, ~${plan.operations} operations each, ${plan.incidents} incidents of ${plan.troubles.join('+') || 'nothing'}; ${options.join(' ')}`
}
