/** What the files of routes are given: the server that they add to, and whom they ask. */

import type { ServerView } from '@ashlar/contract'
import type { Env } from '@ashlar/core'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Manager } from '../manager.ts'
import type { PoolStore } from '../store/pool-store.ts'

export interface ApiParts {
  readonly env: Env
  readonly manager: Manager
  readonly store: PoolStore
  readonly server: ServerView
}

/** A server with zod for schemas, as the route files take it. */
export type Api = FastifyInstance<
  FastifyInstance['server'],
  Parameters<FastifyInstance['routing']>[0],
  Parameters<FastifyInstance['routing']>[1],
  FastifyInstance['log'],
  ZodTypeProvider
>
