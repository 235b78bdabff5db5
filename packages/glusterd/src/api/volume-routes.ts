/**
 * Routes of volumes: definition, life and processes.
 */

import {
  addBricksRequest,
  createVolumeRequest,
  forceRequest,
  removeBricksRequest,
  replaceBrickRequest,
  resetBrickRequest,
  statusQuery,
  volumeProcesses,
  volumeView,
} from '@ashlar/contract'
import { z } from 'zod'
import type { Manager } from '../manager.ts'
import { failures } from './failures.ts'
import type { Api } from './routes.ts'

const named = z.object({ name: z.string() })
const tags = ['volumes']

export function volumeRoutes(api: Api, manager: Manager): void {
  api.get(
    '/volumes',
    { schema: { tags, summary: 'All volumes.', response: { 200: z.array(volumeView) } } },
    () => manager.volumes(),
  )
  api.post(
    '/volumes',
    {
      schema: {
        tags,
        summary: 'Makes a volume.',
        body: createVolumeRequest,
        response: { 201: volumeView, ...failures },
      },
    },
    async (request, reply) => {
      const volume = await manager.create(request.body)
      return reply.code(201).send(volume)
    },
  )
  api.get(
    '/volumes/:name',
    {
      schema: {
        tags,
        summary: 'A volume’s definition.',
        params: named,
        response: { 200: volumeView, ...failures },
      },
    },
    request => manager.volume(request.params.name),
  )
  api.delete(
    '/volumes/:name',
    {
      schema: {
        tags,
        summary: 'Forgets a volume; its bricks keep their files.',
        params: named,
        response: { 200: volumeView, ...failures },
      },
    },
    request => manager.delete(request.params.name),
  )
  api.post(
    '/volumes/:name/start',
    {
      schema: {
        tags,
        summary: 'Starts a volume; with force also bricks that have died.',
        params: named,
        body: forceRequest,
        response: { 200: volumeView, ...failures },
      },
    },
    request => manager.start(request.params.name, request.body.force),
  )
  api.post(
    '/volumes/:name/stop',
    {
      schema: {
        tags,
        summary: 'Stops a volume.',
        params: named,
        body: forceRequest,
        response: { 200: volumeView, ...failures },
      },
    },
    request => manager.stop(request.params.name),
  )
  api.get(
    '/volumes/:name/status',
    {
      schema: {
        tags,
        summary: 'The processes of a started volume.',
        params: named,
        querystring: statusQuery,
        response: { 200: volumeProcesses, ...failures },
      },
    },
    request => manager.status(request.params.name, request.query),
  )
}

/** Routes that change a volume's bricks. */
export function brickRoutes(api: Api, manager: Manager): void {
  const answers = { 200: volumeView, ...failures }
  api.post(
    '/volumes/:name/bricks',
    {
      schema: {
        tags,
        summary: 'Adds bricks: whole sets, or more copies.',
        params: named,
        body: addBricksRequest,
        response: answers,
      },
    },
    request => manager.bricks.add(request.params.name, request.body),
  )
  api.post(
    '/volumes/:name/bricks/remove',
    {
      schema: {
        tags,
        summary: 'Removes bricks: whole sets, or copies.',
        params: named,
        body: removeBricksRequest,
        response: answers,
      },
    },
    request => manager.bricks.remove(request.params.name, request.body),
  )
  api.post(
    '/volumes/:name/bricks/replace',
    {
      schema: {
        tags,
        summary: 'Puts an empty brick in the place of another; it is healed.',
        params: named,
        body: replaceBrickRequest,
        response: answers,
      },
    },
    request => manager.bricks.replace(request.params.name, request.body),
  )
  api.post(
    '/volumes/:name/bricks/reset',
    {
      schema: {
        tags,
        summary: 'Takes a brick down, or takes its emptied directory into use again.',
        params: named,
        body: resetBrickRequest,
        response: answers,
      },
    },
    request => manager.bricks.reset(request.params.name, request.body),
  )
}
