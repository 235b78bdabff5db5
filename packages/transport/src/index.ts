/**
 * @packageDocumentation
 * Transport: the real network, RPC clients that stay connected, RPC servers that stay up.
 */

export * from './client.ts'
export type { Recyclable } from './connection.ts'
export * from './server.ts'
export * from './tcp-network.ts'
