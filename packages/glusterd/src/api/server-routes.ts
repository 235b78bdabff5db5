/**
 * Routes of the server itself, its peers, and volfiles.
 */

import { peerView, serverView, volfileAnswer } from '@ashlar/contract'
import { z } from 'zod'
import { failures } from './failures.ts'
import type { Api, ApiParts } from './routes.ts'

const tags = ['server']

export function serverRoutes(api: Api, { manager, store, server }: ApiParts): void {
  api.get(
    '/server',
    { schema: { tags, summary: 'This server.', response: { 200: serverView } } },
    () => server,
  )
  api.get(
    '/peers',
    {
      schema: {
        tags,
        summary: 'The other servers of the pool.',
        response: { 200: z.array(peerView) },
      },
    },
    () =>
      store.peers().map(({ uuid, hostnames, state }) => ({
        uuid,
        hostnames: [...hostnames],
        state,
        connected: false,
      })),
  )
  api.get(
    '/volfiles/*',
    {
      schema: {
        tags,
        summary: 'The volfile that a process of this server would get for an id.',
        params: z.object({ '*': z.string() }),
        response: { 200: volfileAnswer, ...failures },
      },
    },
    request => ({ id: request.params['*'], text: manager.volfile(request.params['*']) }),
  )
}
