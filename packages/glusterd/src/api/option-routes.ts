/**
 * Routes of options: of a volume, of the pool, and what there is to set.
 */

import {
  optionHelp,
  optionSetting,
  optionValue,
  resetAnswer,
  setOptionsRequest,
  volumeView,
} from '@ashlar/contract'
import { z } from 'zod'
import type { Manager } from '../manager.ts'
import { failures } from './failures.ts'
import type { Api } from './routes.ts'

const named = z.object({ name: z.string() })
const keyed = named.extend({ key: z.string() })
const forced = z.object({ force: z.stringbool().default(false) })
const tags = ['options']

export function optionRoutes(api: Api, manager: Manager): void {
  volumeOptionRoutes(api, manager)
  poolOptionRoutes(api, manager)
}

function volumeOptionRoutes(api: Api, manager: Manager): void {
  api.get(
    '/volumes/:name/options',
    {
      schema: {
        tags,
        summary: 'Every option of a volume with its value.',
        params: named,
        response: { 200: z.array(optionValue), ...failures },
      },
    },
    request => manager.options(request.params.name),
  )
  api.get(
    '/volumes/:name/options/:key',
    {
      schema: {
        tags,
        summary: 'The value of one option.',
        params: keyed,
        response: { 200: optionValue, ...failures },
      },
    },
    request => manager.option(request.params.name, request.params.key),
  )
  api.patch(
    '/volumes/:name/options',
    {
      schema: {
        tags,
        summary: 'Sets options, all of them or none.',
        params: named,
        body: setOptionsRequest,
        response: { 200: volumeView, ...failures },
      },
    },
    request => manager.set(request.params.name, request.body.options),
  )
  api.delete(
    '/volumes/:name/options',
    {
      schema: {
        tags,
        summary: 'Takes back all options that were set.',
        params: named,
        querystring: forced,
        response: { 200: resetAnswer, ...failures },
      },
    },
    async request => ({
      message: await manager.reset(request.params.name, undefined, request.query.force),
    }),
  )
  api.delete(
    '/volumes/:name/options/:key',
    {
      schema: {
        tags,
        summary: 'Takes back one option.',
        params: keyed,
        querystring: forced,
        response: { 200: resetAnswer, ...failures },
      },
    },
    async request => ({
      message: await manager.reset(request.params.name, request.params.key, request.query.force),
    }),
  )
}

function poolOptionRoutes(api: Api, manager: Manager): void {
  const key = z.object({ key: z.string() })
  api.get(
    '/options',
    { schema: { tags, summary: 'Options of the pool.', response: { 200: z.array(optionValue) } } },
    () => manager.poolOptions(),
  )
  api.get(
    '/options/:key',
    {
      schema: {
        tags,
        summary: 'One option of the pool.',
        params: key,
        response: { 200: optionValue, ...failures },
      },
    },
    request => manager.poolOption(request.params.key),
  )
  api.patch(
    '/options',
    {
      schema: {
        tags,
        summary: 'Sets an option of the pool.',
        body: setOptionsRequest,
        response: { 200: z.array(optionValue), ...failures },
      },
    },
    async request => {
      await manager.setPool(request.body.options)
      return manager.poolOptions()
    },
  )
  api.delete(
    '/options',
    {
      schema: {
        tags,
        summary: 'Takes back an option of the pool, or all.',
        querystring: key.partial(),
        response: { 200: resetAnswer, ...failures },
      },
    },
    async request => ({ message: await manager.resetPool(request.query.key) }),
  )
  api.get(
    '/option-help',
    { schema: { tags, summary: 'What can be set.', response: { 200: z.array(optionHelp) } } },
    () => manager.help(),
  )
  api.get(
    '/groups/:name',
    {
      schema: {
        tags,
        summary: 'The settings of an option profile.',
        params: named,
        response: { 200: z.array(optionSetting), ...failures },
      },
    },
    request => manager.group(request.params.name),
  )
}
