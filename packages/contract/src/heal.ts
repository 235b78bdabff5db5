/**
 * Healing as the API shows and takes it: what is to be healed and why, what crawls have done, and
 * which copy wins a split-brain.
 */

import { z } from 'zod'

/** How an entry stands. */
export const healState = z.enum(['pending', 'split-brain', 'healing'])

/** Something that is not the same on all bricks. */
export const healEntry = z.object({
  /** UUID form. */
  gfid: z.string(),
  /** Path in the volume; null when it could not be found. */
  path: z.string().nullable(),
  state: healState,
  /** Why it is not healed yet, in a sentence. */
  reason: z.string(),
  /** Seconds since it was noted; null: unknown. */
  age: z.number().nullable(),
})
export type HealEntryView = z.infer<typeof healEntry>

/** One brick's list of what others lack, or hold differently. */
export const brickHeal = z.object({
  host: z.string(),
  path: z.string(),
  /** UUID of the server. */
  peer: z.string(),
  /** False: its list could not be read. */
  connected: z.boolean(),
  /** `Connected`, or why the list could not be read. */
  status: z.string(),
  entries: z.array(healEntry),
})
export type BrickHealView = z.infer<typeof brickHeal>

/** What is to be healed in a volume, by brick. */
export const healInfo = z.object({ volume: z.string(), bricks: z.array(brickHeal) })
export type HealInfoView = z.infer<typeof healInfo>

/** How much there is to heal, as the bricks count it. */
export const healCount = z.object({
  host: z.string(),
  path: z.string(),
  /** Null: the brick is down. */
  count: z.number().int().nullable(),
})
export type HealCountView = z.infer<typeof healCount>

/** One pass of the self-heal daemon over a brick. Times are milliseconds since 1970. */
export const crawlView = z.object({
  type: z.string(),
  started: z.number(),
  /** Null while it runs. */
  ended: z.number().nullable(),
  /** The same as texts of the server's local time. */
  startedText: z.string(),
  endedText: z.string().nullable(),
  healed: z.number().int(),
  splitBrain: z.number().int(),
  failed: z.number().int(),
})
export type CrawlView = z.infer<typeof crawlView>

/** The crawls of a brick since the daemon began, newest last. */
export const brickCrawls = z.object({
  host: z.string(),
  path: z.string(),
  crawls: z.array(crawlView),
})
export type BrickCrawlsView = z.infer<typeof brickCrawls>

/** What the self-heal daemon shall do now. */
export const healRequest = z.object({ scope: z.enum(['index', 'full']).default('index') })

/** Switches of healing. */
export const healSettings = z.object({
  /** The self-heal daemon looks after the volume. */
  enabled: z.boolean().optional(),
  /** Bricks note which names of a directory differ, not only the directory. */
  granular: z.boolean().optional(),
})

/** Which part of it, and how. */
export const healInfoQuery = z.object({
  /** `no`: without paths, which takes less time: for who only counts. */
  paths: z.enum(['yes', 'no']).default('yes'),
  /** Only what is in split-brain; refused where there are no copies to split. */
  only: z.literal('split-brain').optional(),
})

/** Only the counts of the set that holds this brick (`HOST:/PATH`). */
export const healCountQuery = z.object({ brick: z.string().optional() })

/** Which copy wins, and of what; without `file` all that the brick has in split-brain. */
export const splitBrainRequest = z.discriminatedUnion('policy', [
  z.object({ policy: z.enum(['bigger-file', 'latest-mtime']), file: z.string() }),
  z.object({
    policy: z.literal('source-brick'),
    /** `HOST:/PATH`. */
    brick: z.string(),
    file: z.string().optional(),
  }),
])
export type SplitBrainRequest = z.infer<typeof splitBrainRequest>

/** What became of one file. */
export const resolvedFile = z.object({
  file: z.string(),
  healed: z.boolean(),
  /** Why not; empty when it is. */
  reason: z.string(),
  /** `lookup`: not even found; `refused`: not by this policy; `gfid`: one name with several gfids. */
  stage: z.enum(['lookup', 'refused', 'gfid']).optional(),
  /** That of which `reason` is the text. */
  errno: z.number().int().optional(),
  /** A directory, though a brick was named: nothing of it is thrown away. */
  merged: z.boolean().optional(),
})
export type ResolvedFileView = z.infer<typeof resolvedFile>

export const splitBrainAnswer = z.object({ files: z.array(resolvedFile) })
export type SplitBrainAnswer = z.infer<typeof splitBrainAnswer>
