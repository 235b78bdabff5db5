/**
 * @packageDocumentation
 * The `gluster` command and the entry points behind bin/.
 */

export { runInteractive } from './interactive.ts'
export { runLine } from './run.ts'
export type { Terminal } from './terminal.ts'
