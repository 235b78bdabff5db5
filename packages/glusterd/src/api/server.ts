/**
 * The HTTP face of glusterd: the API of @ashlar/contract over a unix socket, with its OpenAPI
 * description at /v1/openapi.json. Whoever may open the socket may do everything.
 */

import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import swagger from '@fastify/swagger'
import { ManagementError } from '@ashlar/contract'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { healRoutes } from './heal-routes.ts'
import { optionRoutes } from './option-routes.ts'
import type { Api, ApiParts } from './routes.ts'
import { serverRoutes } from './server-routes.ts'
import { brickRoutes, volumeRoutes } from './volume-routes.ts'

/** Largest request that is read. */
const BODY_BYTES_MAX = 1024 * 1024

/** All routes, not listening yet. */
export async function buildApi(parts: ApiParts): Promise<FastifyInstance> {
  const app = fastify({ bodyLimit: BODY_BYTES_MAX })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(swagger, {
    openapi: {
      info: { title: 'Ashlar glusterd', version: '1', description: 'Management of volumes.' },
    },
    transform: jsonSchemaTransform,
  })
  app.setErrorHandler<FastifyError | ManagementError>((error, _request, reply) => {
    if (error instanceof ManagementError) return reply.code(error.httpStatus).send(error.body)
    if (error.statusCode !== undefined && error.statusCode < 500) {
      const refused = new ManagementError('REQUEST_INVALID', error.message)
      return reply.code(error.statusCode).send(refused.body)
    }
    parts.env.log.error('a request failed', { reason: error.stack ?? error.message })
    const broken = new ManagementError('INTERNAL', error.message)
    return reply.code(broken.httpStatus).send(broken.body)
  })
  app.setNotFoundHandler((request, reply) => {
    const refused = new ManagementError('REQUEST_INVALID', `There is no ${request.url}`)
    return reply.code(404).send(refused.body)
  })
  await app.register(
    async routes => {
      const api = routes.withTypeProvider<ZodTypeProvider>() as unknown as Api
      serverRoutes(api, parts)
      volumeRoutes(api, parts.manager)
      brickRoutes(api, parts.manager)
      healRoutes(api, parts.manager)
      optionRoutes(api, parts.manager)
      api.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
    },
    { prefix: '/v1' },
  )
  await app.ready()
  return app
}

/** Listens on a unix socket that only its owner may open. Rejects when that fails. */
export async function listenApi(app: FastifyInstance, socket: string): Promise<void> {
  mkdirSync(dirname(socket), { recursive: true })
  rmSync(socket, { force: true })
  await app.listen({ path: socket })
  chmodSync(socket, 0o600)
}
