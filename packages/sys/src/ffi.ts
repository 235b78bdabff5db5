/**
 * The foreign function interface: the only file that imports koffi.
 *
 * A system call is declared by its C prototype and returns a number as the kernel does: ≥ 0, or
 * −errno. Nothing here throws for what the world does wrong. Numbers beyond 2^53 come as bigint.
 */

import { encodeName } from '@ashlar/core'
import koffi from 'koffi'

/** What a C parameter takes: integers, texts, memory. */
export type Argument = number | bigint | string | Buffer | null

/** A bound C function. The count of arguments is the prototype's; koffi checks it. */
export interface Native {
  (...values: readonly Argument[]): number
  async(...values: readonly unknown[]): void
}

/** Calls given to worker threads at once, for each of which koffi keeps memory: its own limit. */
const ASYNC_CALLS_MAX = 32
/** Stack and heap of each: what a system call and a path need. */
const ASYNC_BYTES = 64 * 1024
koffi.config({
  resident_async_pools: ASYNC_CALLS_MAX,
  async_stack_size: ASYNC_BYTES,
  async_heap_size: ASYNC_BYTES,
})
const libc = koffi.load(null)

/** Binds a function of the C library by its prototype. Throws when the library has none. */
export function native(prototype: string): Native {
  return libc.func(prototype) as unknown as Native
}

/** Like `native`, for calls that old C libraries or musl lack: undefined there. */
export function nativeIfPresent(prototype: string): Native | undefined {
  try {
    return native(prototype)
  } catch {
    return undefined
  }
}

/**
 * Binds a function without arguments that gives back a struct of nothing but size_t, by its name and the
 * struct's members in their order. Undefined where the C library has none.
 */
export function nativeSizes<K extends string>(
  name: string,
  members: readonly K[],
): (() => Readonly<Record<K, number | bigint>>) | undefined {
  const struct = koffi.struct(Object.fromEntries(members.map(member => [member, 'size_t'])))
  try {
    return libc.func(name, struct, []) as unknown as () => Record<K, number | bigint>
  } catch {
    return undefined
  }
}

/** A C result as −errno when it is negative. To be called before anything else can fail. */
export function outcome(result: number): number {
  return result < 0 ? -koffi.errno() : result
}

/** Arguments of calls on worker threads, held so that their memory stays. */
const running = new Set<readonly Argument[]>()
/** Calls that begin when others have ended. */
const waiting: (() => void)[] = []

/**
 * Runs a blocking call on a worker thread. Its buffers must stay unchanged until it is done. There are
 * fewer threads than calls that may run; what comes beyond those waits here, as koffi would map memory
 * for it and unmap it again, which costs more than most calls.
 */
export function outcomeLater(call: Native, ...values: readonly Argument[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const begin = (): void => {
      running.add(values)
      call.async(...values, (error: unknown, result: number) => {
        running.delete(values)
        if (error === null) resolve(outcome(result))
        else reject(error instanceof Error ? error : new Error('a native call failed to start'))
        waiting.shift()?.()
      })
    }
    if (running.size < ASYNC_CALLS_MAX) begin()
    else waiting.push(begin)
  })
}

/**
 * A path or name as koffi takes it: the string itself when it is Unicode, else its bytes with a
 * NUL (names.ts in core tells how bytes that are not UTF-8 are held). A NUL inside ends the name
 * for the kernel: whoever takes names from a peer refuses those first.
 */
export function text(name: string): string | Buffer {
  return name.isWellFormed() ? name : Buffer.concat([encodeName(name), NUL])
}
const NUL = Buffer.alloc(1)

/** The address of a buffer's first byte. The caller keeps the buffer alive while it is used. */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer) as bigint
}
