/**
 * Routes of healing: what there is to heal and why, crawls, split-brains, switches.
 */

import {
  brickCrawls,
  healCount,
  healCountQuery,
  healInfo,
  healInfoQuery,
  healRequest,
  healSettings,
  splitBrainAnswer,
  splitBrainRequest,
  volumeView,
} from '@ashlar/contract'
import { z } from 'zod'
import type { Manager } from '../manager.ts'
import { failures } from './failures.ts'
import type { Api } from './routes.ts'

const named = z.object({ name: z.string() })
const tags = ['healing']

export function healRoutes(api: Api, manager: Manager): void {
  readingRoutes(api, manager)
  changingRoutes(api, manager)
}

function readingRoutes(api: Api, manager: Manager): void {
  api.get(
    '/volumes/:name/heal',
    {
      schema: {
        tags,
        summary: 'What is to be healed on each brick, why it is not yet, and since when.',
        params: named,
        querystring: healInfoQuery,
        response: { 200: healInfo, ...failures },
      },
    },
    ({ params, query }) => manager.heal.info(params.name, query.paths === 'yes', query.only),
  )
  api.get(
    '/volumes/:name/heal/counts',
    {
      schema: {
        tags,
        summary: 'How much each brick has noted.',
        params: named,
        querystring: healCountQuery,
        response: { 200: z.array(healCount), ...failures },
      },
    },
    request => manager.heal.counts(request.params.name, request.query.brick),
  )
  api.get(
    '/volumes/:name/heal/statistics',
    {
      schema: {
        tags,
        summary: 'The crawls of the self-heal daemon.',
        params: named,
        response: { 200: z.array(brickCrawls), ...failures },
      },
    },
    request => manager.heal.statistics(request.params.name),
  )
}

function changingRoutes(api: Api, manager: Manager): void {
  api.post(
    '/volumes/:name/heal',
    {
      schema: {
        tags,
        summary: 'Lets the self-heal daemon crawl now.',
        params: named,
        body: healRequest,
        response: { 202: healRequest, ...failures },
      },
    },
    async (request, reply) => {
      await manager.heal.launch(request.params.name, request.body.scope)
      return reply.code(202).send(request.body)
    },
  )
  api.patch(
    '/volumes/:name/heal',
    {
      schema: {
        tags,
        summary: 'Switches of healing.',
        params: named,
        body: healSettings,
        response: { 200: volumeView, ...failures },
      },
    },
    request => manager.heal.change(request.params.name, request.body),
  )
  api.post(
    '/volumes/:name/heal/split-brain',
    {
      schema: {
        tags,
        summary: 'Decides which copy wins.',
        params: named,
        body: splitBrainRequest,
        response: { 200: splitBrainAnswer, ...failures },
      },
    },
    request => manager.heal.resolve(request.params.name, request.body),
  )
}
