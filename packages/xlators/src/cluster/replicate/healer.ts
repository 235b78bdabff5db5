/**
 * Healer: what a replicate translator offers to those who look after its volume: the self-heal
 * daemon, `volume heal … info` and the commands that resolve a split-brain.
 */

import type { Failure, Gfid, Xlator } from '@ashlar/core'

/** How an entry that is to be healed stands (reference: AFR's `glusterfs.heal-info`). */
export type HealState = 'pending' | 'split-brain' | 'healing'

/** One entry of a brick's heal index. */
export interface HealEntry {
  readonly gfid: Gfid
  /** Path in the volume, when it could be found; for people. */
  readonly path: string | undefined
  readonly state: HealState
  /** Why it is not healed yet, in a sentence: which brick blames which, or what the last heal met. */
  readonly reason: string
  /** Seconds since the entry was put into the index, as its change time tells; undefined: unknown. */
  readonly age: number | undefined
}

/** The heal index of one brick of the set. */
export interface BrickHealInfo {
  /** The child's name, `vol-client-0`. */
  readonly brick: string
  /** Its entries, or why they could not be read (ENOTCONN: the brick is down). */
  readonly entries: readonly HealEntry[] | Failure
}

/** What of each entry is to be told. */
export interface HealInfoWanted {
  /** Paths, for which bricks are asked once more each; true when absent. */
  readonly paths?: boolean
}

export interface CrawlStatistics {
  readonly brick: string
  readonly type: 'INDEX' | 'FULL'
  /** Milliseconds since 1970; `ended` undefined while it runs. */
  readonly started: number
  readonly ended: number | undefined
  readonly healed: number
  readonly splitBrain: number
  readonly failed: number
}

/** Which copy wins. */
export type Resolution =
  | { readonly policy: 'bigger-file' | 'latest-mtime' }
  | { readonly policy: 'source-brick'; readonly brick: string }

/** What became of one file of a `resolve`. */
export interface Resolved {
  /** As it was given, or `gfid:<uuid>`. */
  readonly file: string
  readonly outcome: 'healed' | 'failed'
  /** Why it failed, as GlusterFS says it (`File not in split-brain`, `No bigger file` …). */
  readonly reason: string
  /** How far it came; absent: to a heal. */
  readonly stage?: ResolveStage
  /** That of which `reason` is the text. */
  readonly errno?: number
  /** A directory, though a brick was named: nothing of it is thrown away. */
  readonly merged?: boolean
}

/**
 * `lookup`: the file was not even found; `refused`: the policy says nothing of such files; `gfid`: it
 * was one name with several gfids.
 */
export type ResolveStage = 'lookup' | 'refused' | 'gfid'

export interface Healer {
  /** Name of the translator, `vol-replicate-0`. */
  readonly name: string
  /** Names of its children in order, and whether each is connected. */
  readonly bricks: readonly { readonly brick: string; readonly up: boolean }[]
  /** Sweeps the heal indices of this server's bricks now; answers when it has begun. */
  healIndex(): void
  /** Crawls the whole set and heals what differs; answers when it has begun. */
  healFull(): void
  /** What is to be healed, per brick, looked at now and without locks. */
  info(wanted?: HealInfoWanted): Promise<readonly BrickHealInfo[]>
  /** How many entries each brick's index has; undefined where the brick is down. */
  counts(): Promise<readonly (number | undefined)[]>
  /** The crawls of this process, per brick, newest last. */
  statistics(): readonly CrawlStatistics[]
  /** Resolves split-brains: of one file (a path, or `gfid:<uuid>`), or of all that the index has. */
  resolve(resolution: Resolution, file: string | undefined): Promise<readonly Resolved[]>
  /**
   * Marks on the other bricks that `brick` has nothing (it was replaced by an empty one, or is new in
   * the set), so that everything is healed to it. undefined when that is done.
   */
  markEmpty(brick: string): Promise<Failure | undefined>
}

/** A translator that can heal. */
export interface HealingXlator extends Xlator {
  readonly healer: Healer
}

/** The healer of a translator, if it has one. */
export function healerOf(xlator: Xlator): Healer | undefined {
  return (xlator as Partial<HealingXlator>).healer
}
