/**
 * @packageDocumentation
 * FUSE without C: mounting, the kernel's protocol as a table, and the bridge from it to a graph.
 */

export { FuseBridge, type BridgeStatus } from './bridge/bridge.ts'
export type { BridgeOptions } from './bridge/options.ts'
export { FuseDevice, type FuseDeviceOptions, mountFuse } from './device.ts'
export { FS_SUBTYPE, MountError, type MountOptions, unmountPath } from './mount.ts'
export { printReply, printRequest } from './protocol/print.ts'
