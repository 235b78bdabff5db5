/**
 * Checks of single keys beyond the type of their value, by the name in the option table
 * (xlators/mgmt/glusterd/src/glusterd-volume-set.c).
 */

import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseBoolean, parseSize } from '@ashlar/core'
import { distributeCount, type Volume } from '../volume/volume.ts'

const TRANSPORTS = new Set(['tcp', 'rdma', 'tcp,rdma', 'rdma,tcp'])

/** What a rule may look at. `volume` is undefined for `volume set all`. */
export interface RuleInput {
  readonly key: string
  readonly value: string
  readonly volume: Volume | undefined
  /** Options of the volume and of the pool as they would be after the change. */
  readonly options: ReadonlyMap<string, string>
}

/** Undefined when the rule is kept. */
type Rule = (input: RuleInput) => string | undefined

/** Rules by name. A name that is absent here has nothing to check before its feature exists. */
export const RULES: Readonly<Record<string, Rule>> = {
  boolean: booleanProblem,
  uss: booleanProblem,
  'parallel-readdir': booleanProblem,
  'lock-migration-option'({ value, volume }) {
    if (volume !== undefined && volume.kind !== 'distribute') {
      return 'Lock migration is a experimental feature. Currently works with pure distribute volume only'
    }
    if (parseBoolean(value) !== undefined) return undefined
    return 'Invalid value for volume set command. Use on/off only.'
  },
  'cache-max-min-size'({ options }) {
    const smallest = options.get('performance.cache-min-file-size')
    const largest = options.get('performance.cache-max-file-size')
    if (smallest === undefined || largest === undefined) return undefined
    const [low, high] = [parseSize(smallest), parseSize(largest)]
    if (low === undefined || high === undefined || high === 0 || low <= high) return undefined
    return `cache-min-file-size (${smallest}) is greater than cache-max-file-size (${largest})`
  },
  'rda-cache-limit'({ key, value }) {
    if (parseSize(value) !== undefined) return undefined
    return `${value} is not a valid size. ${key} expects bytes, as 10485760 or 10MB.`
  },
  'subvols-per-directory'({ value, volume }) {
    const count = Number.parseInt(value, 10)
    // Numbers alone are judged here; the translator knows the rest.
    if (Number.isNaN(count)) return undefined
    const subvolumes = volume === undefined ? 0 : distributeCount(volume)
    if (count <= subvolumes) return undefined
    return `subvols-per-directory(${count}) is greater than the number of subvolumes(${subvolumes}).`
  },
  'quorum-count'({ key, value, volume }) {
    const count = Number(value)
    if (!Number.isInteger(count)) {
      return `${value} is not an integer. ${key} expects a valid integer value.`
    }
    const replicas = volume?.replicaCount ?? 1
    if (count >= 1 && count <= replicas) return undefined
    return `${count} in ${key} ${value} is out of range [1 - ${replicas}]`
  },
  'defrag-throttle-option'({ key, value }) {
    const cores = availableParallelism()
    if (['lazy', 'normal', 'aggressive'].includes(value.toLowerCase())) return undefined
    if (/^\d+$/.test(value) && Number(value) > 0 && Number(value) <= cores) return undefined
    return (
      `${key} should be {lazy|normal|aggressive} or a number up to number of cores available ` +
      `(cores available - ${cores})`
    )
  },
  transport({ value }) {
    if (TRANSPORTS.has(value)) return undefined
    return `transport-type ${value} does not exist`
  },
  replica({ key, volume }) {
    if (volume?.kind === 'replicate') return undefined
    return `Cannot set ${key} for a non-replicate volume.`
  },
  'replica-heal-enable-disable'({ value, volume }) {
    if (volume?.kind === 'replicate') return booleanProblem({ key: 'self-heal-daemon', value })
    return `Volume ${volume?.name ?? 'all'} is not of replicate type`
  },
  disperse({ key, volume }) {
    return volume?.kind === 'disperse' ? undefined : `Cannot set ${key} for a non-disperse volume.`
  },
  'disperse-heal-enable-disable'({ value, volume }) {
    if (volume?.kind === 'disperse') return booleanProblem({ key: 'self-heal-daemon', value })
    return `Volume ${volume?.name ?? 'all'} is not of disperse type`
  },
  'disperse-quorum-count'({ key, value, volume }) {
    if (volume?.kind !== 'disperse') return `Cannot set ${key} for a non-disperse volume.`
    const least = volume.disperseCount - volume.redundancyCount
    const count = Number(value)
    if (count === 0 || (count >= least && count <= volume.disperseCount)) return undefined
    return `${value} for ${key} is out of range [${least} - ${volume.disperseCount}]`
  },
  quota({ key, options }) {
    if (parseBoolean(options.get('features.quota') ?? 'off') === true) return undefined
    return `Cannot set ${key}. Enable quota first.`
  },
  'reten-mode'({ key, value }) {
    if (value === 'relax' || value === 'enterprise') return undefined
    return (
      'The value of retention mode should be either relax or enterprise. ' +
      `But the value of ${key} is ${value}`
    )
  },
  'worm-period'({ key, value }) {
    if (/^\d+$/.test(value)) return undefined
    return `${value} is not a valid uint64_t value. ${key} expects a valid uint64_t value.`
  },
  'mandatory-locking'({ value }) {
    if (['off', 'file', 'forced', 'optimal'].includes(value)) return undefined
    return `Invalid option value '${value}': Available options are 'off', 'file', 'forced' or 'optimal'`
  },
  'statedump-path'({ value }) {
    return isDirectory(value) ? undefined : `Failed: ${value} is not a directory`
  },
  'server-options'({ key, value }) {
    if (/^\d+$/.test(value) && Number(value) > 0) return undefined
    if (!/^-?\d+$/.test(value)) {
      return `${value} is not a compatible value. ${key} expects an integer value.`
    }
    return `${value} is not a compatible value. ${key} expects a positiveinteger value.`
  },
  'uss-dir'({ key, value }) {
    if (value.length > 255) return `value of ${key} exceedes 255 characters`
    if (value.length < 2) return `value of ${key} too short, expects at least two characters`
    if (!value.startsWith('.')) return `${key} expects value starting with '.'`
    if (/^\.[0-9a-z_-]+$/i.test(value)) return undefined
    return `${key} expects value to contain only '0-9a-z-_'`
  },
  'mux-limit'({ key, value, options }) {
    if (parseBoolean(options.get('cluster.brick-multiplex') ?? 'off') !== true) {
      return (
        'Brick-multiplexing is not enabled. ' +
        'Please enable brick multiplexing before trying to set this option.'
      )
    }
    if (!/^\d+$/.test(value)) {
      return `${value} is not a valid count. ${key} expects an unsigned integer.`
    }
    if (Number(value) !== 1) return undefined
    return (
      'Brick-multiplexing is enabled. Please set this option to a value other than 1 ' +
      'to make use of the brick-multiplexing feature.'
    )
  },
}

function booleanProblem({ key, value }: { key: string; value: string }): string | undefined {
  if (parseBoolean(value) !== undefined) return undefined
  return `${value} is not a valid boolean value. ${key} expects a valid boolean value.`
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
