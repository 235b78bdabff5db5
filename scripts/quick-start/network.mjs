// The names and ports of the quick start.
import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { Problem } from './programs.mjs'

const GLUSTERD_PORT = 24_007

/** GlusterFS's own port; any other one when somebody has it. */
export async function listeningPort() {
  return (await tryPort(GLUSTERD_PORT)) ?? (await tryPort(0))
}

/** Nobody listens on the port. */
export async function isFree(port) {
  return (await tryPort(port)) !== undefined
}

function tryPort(port) {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, '0.0.0.0', () => {
      const { port: bound } = server.address()
      server.close(() => resolve(bound))
    })
  })
}

/** A name of this machine that its own processes, and if possible others, can reach. */
export async function brickHost() {
  const own = Object.values(networkInterfaces()).flat()
  const addresses = new Set(own.map(entry => entry.address))
  const name = hostname()
  try {
    const { address } = await lookup(name)
    const reachable = address.startsWith('127.') || addresses.has(address)
    // A brick of `localhost` would be another one on each client: volumes take no such name.
    if (reachable && name !== 'localhost') return name
  } catch {
    // The machine does not know its own name: an address serves as well.
  }
  const address = own.find(entry => entry.family === 'IPv4' && !entry.internal)?.address
  if (address !== undefined) return address
  throw new Problem(
    `This machine is called ${name}, which others cannot reach it by, and has no address of a network. ` +
      'Give it a name (hostname NAME) and add that to /etc/hosts.',
  )
}
