/**
 * ApiClient: the CLI's calls to glusterd's HTTP API over its unix socket.
 */

import { request } from 'node:http'
import { join } from 'node:path'
import type { ErrorBody } from '@ashlar/contract'

/** glusterd cannot be reached. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
}

/** glusterd did not answer in time. */
export class TimeoutError extends Error {
  override name = 'TimeoutError'
}

/** glusterd has refused the request. */
export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly body: ErrorBody

  constructor(body: ErrorBody) {
    super(body.message)
    this.body = body
  }
}

export interface ApiClient {
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  patch<T>(path: string, body: unknown): Promise<T>
  delete<T>(path: string): Promise<T>
}

/** GlusterFS's CLI waits two minutes. */
const TIMEOUT_MS = 120_000
const SOCKET_NAME = 'glusterd-api.sock'
const RUN_DIRECTORY = '/var/run/gluster'

/** The socket of the glusterd that the environment names, else of the system's. */
export function defaultSocket(environment: Readonly<Record<string, string | undefined>>): string {
  return (
    environment['ASHLAR_API_SOCKET'] ??
    join(environment['ASHLAR_RUNDIR'] ?? RUN_DIRECTORY, SOCKET_NAME)
  )
}

/** Calls reject with ConnectionError, TimeoutError or RefusedError. */
export function apiClient(socketPath: string, timeoutMs = TIMEOUT_MS): ApiClient {
  const call = <T>(method: string, path: string, body?: unknown): Promise<T> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const headers =
        text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      const outgoing = request({
        socketPath,
        path: `/v1${path}`,
        method,
        headers,
        signal: AbortSignal.timeout(timeoutMs),
      })
      outgoing.on('error', error => {
        const late = error.name === 'AbortError' || error.name === 'TimeoutError'
        reject(late ? new TimeoutError(error.message) : new ConnectionError(error.message))
      })
      outgoing.on('response', incoming => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', error => reject(new ConnectionError(error.message)))
        incoming.on('end', () => {
          const answer: unknown = JSON.parse(Buffer.concat(chunks).toString() || 'null')
          if ((incoming.statusCode ?? 500) < 400) resolve(answer as T)
          else reject(new RefusedError(answer as ErrorBody))
        })
      })
      outgoing.end(text)
    })
  return {
    get: path => call('GET', path),
    post: (path, body) => call('POST', path, body),
    patch: (path, body) => call('PATCH', path, body),
    delete: path => call('DELETE', path),
  }
}

/** A segment of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name)
}
