/**
 * @packageDocumentation
 * The translators, one folder each, in GlusterFS's own families.
 */

import type { AnyXlatorDefinition } from '@ashlar/core'
import { distribute } from './cluster/distribute/index.ts'
import { replicate } from './cluster/replicate/index.ts'
import { client } from './protocol/client/index.ts'
import { server } from './protocol/server/index.ts'
import { accessControl, posixAcl } from './features/access-control/index.ts'
import { arbiter } from './features/arbiter/index.ts'
import { index } from './features/index/index.ts'
import { locks } from './features/locks/index.ts'
import { readOnly } from './features/read-only/index.ts'
import { ioCache } from './performance/io-cache/index.ts'
import { mdCache } from './performance/md-cache/index.ts'
import { openBehind } from './performance/open-behind/index.ts'
import { quickRead } from './performance/quick-read/index.ts'
import { readAhead } from './performance/read-ahead/index.ts'
import { writeBehind } from './performance/write-behind/index.ts'
import { ioStats } from './debug/io-stats/index.ts'
import { upcall } from './features/upcall/index.ts'
import { utime } from './features/utime/index.ts'
import { posix } from './storage/posix/index.ts'

export * from './cluster/replicate/healer.ts'
export * from './protocol/server/serving.ts'
export { BrickError } from './storage/posix/index.ts'
export * from './passive.ts'

/** Every translator there is, by type. */
export const xlators: ReadonlyMap<string, AnyXlatorDefinition> = new Map(
  [
    accessControl,
    arbiter,
    client,
    distribute,
    index,
    ioCache,
    ioStats,
    locks,
    mdCache,
    openBehind,
    posix,
    posixAcl,
    quickRead,
    readAhead,
    readOnly,
    replicate,
    server,
    upcall,
    utime,
    writeBehind,
  ].map(definition => [definition.type, definition]),
)
