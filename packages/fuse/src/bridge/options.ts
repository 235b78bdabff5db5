/** What a mount can be told (reference: the `-o` options of mount.glusterfs), with its defaults. */

export interface BridgeOptions {
  /** Seconds the kernel may trust attributes without asking. */
  readonly attributeTimeout?: number
  /** Seconds the kernel may trust a name. */
  readonly entryTimeout?: number
  /** Seconds the kernel may trust that a name does not exist; 0: it asks each time. */
  readonly negativeTimeout?: number
  /** `on`: every file past the kernel's page cache; `off`, `auto`: through it. */
  readonly directIoMode?: 'on' | 'off' | 'auto'
  /** Pages of a file stay in the kernel's cache from one open to the next. */
  readonly fopenKeepCache?: 'on' | 'off' | 'auto'
  /** The kernel drops pages when it sees a new mtime or size. */
  readonly autoInvalidation?: boolean
  /** The kernel collects writes. Other clients see them late. */
  readonly kernelWritebackCache?: boolean
  /** Listings bring attributes along. */
  readonly useReaddirp?: boolean
  /** POSIX access control lists. */
  readonly acl?: boolean
  readonly selinux?: boolean
  readonly capability?: boolean
  /** Seconds for which the groups of a process are remembered; 0: never. */
  readonly gidTimeout?: number
  /** Requests without a waiting caller that the kernel sends at a time. */
  readonly backgroundQueueLength?: number
  readonly congestionThreshold?: number
  /** Inodes the bridge keeps for the kernel before it asks it to forget some; 0: all. */
  readonly lruLimit?: number
  /** Put in place of the caller's process id: an internal client (SpecialPid). */
  readonly clientPid?: number
  /** This uid acts as root. */
  readonly uidMapRoot?: number
  /** Inode numbers are folded to 32 bits. */
  readonly enableIno32?: boolean
  /** Kibibytes that the kernel reads ahead, where it lets us say so (as root). */
  readonly readAheadKib?: number
  /** Wait a moment for the next request before sleeping (linger.ts): fast, at the cost of a core. */
  readonly linger?: boolean
}

export type FullBridgeOptions = Required<Omit<BridgeOptions, 'clientPid' | 'uidMapRoot'>> &
  Pick<BridgeOptions, 'clientPid' | 'uidMapRoot'>

const DEFAULTS: FullBridgeOptions = {
  attributeTimeout: 1,
  entryTimeout: 1,
  negativeTimeout: 0,
  directIoMode: 'auto',
  fopenKeepCache: 'auto',
  autoInvalidation: true,
  kernelWritebackCache: false,
  useReaddirp: true,
  acl: false,
  selinux: false,
  capability: false,
  gidTimeout: 300,
  backgroundQueueLength: 64,
  congestionThreshold: 48,
  lruLimit: 65_536,
  enableIno32: false,
  // Four requests of the largest size: the brick works on the next ones while one is copied out.
  readAheadKib: 4096,
  linger: true,
}

/** Fills in the defaults; members that are undefined count as absent. */
export function completeOptions(options: BridgeOptions): FullBridgeOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...DEFAULTS, ...Object.fromEntries(given) }
}
