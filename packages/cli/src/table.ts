/**
 * All commands of `gluster`. Those without `run` are recognised, so that a script hears that they
 * are missing and not that it has mistyped them.
 */

import { getVolfile, getWorkDirectory, uuidGet } from './commands/system.ts'
import { peerStatus, poolList } from './commands/peers.ts'
import { createVolume, deleteVolume, startVolume, stopVolume } from './commands/volume-life.ts'
import { getOptions, resetVolume, setOptions } from './commands/volume-options.ts'
import { addBrick, removeBrick, replaceBrick, resetBrick } from './commands/volume-bricks.ts'
import { volumeHeal } from './commands/volume-heal.ts'
import { volumeInfo, volumeList } from './commands/volume-info.ts'
import { volumeStatus } from './commands/volume-status.ts'
import type { GrammarRow, HelpClass } from './grammar.ts'
import { classHelp, overview } from './help.ts'

const CREATE_PATTERN =
  'volume create <NEW-VOLNAME> [[replica <COUNT> [arbiter <COUNT>]]|[replica 2 thin-arbiter 1]] ' +
  '[disperse [<COUNT>]] [disperse-data <COUNT>] [redundancy <COUNT>] ' +
  '[transport <tcp|rdma|tcp,rdma>] <NEW-BRICK> <TA-BRICK>... [force]'
const STATUS_PATTERN =
  'volume status [all | <VOLNAME> [nfs|shd|<BRICK>|quotad]] ' +
  '[detail|clients|mem|inode|fd|callpool|tasks|client-list]'

const HEAL_PATTERN =
  'volume heal <VOLNAME> [enable | disable | full |statistics [heal-count [replica ' +
  '<HOSTNAME:BRICKNAME>]] |info [summary | split-brain] |split-brain {bigger-file <FILE> | ' +
  'latest-mtime <FILE> |source-brick <HOSTNAME:BRICKNAME> [<FILE>]} |granular-entry-heal ' +
  '{enable | disable}]'
/** GlusterFS's own command line waits as long. */
const HEAL_SECONDS_MAX = 600

/** Commands that work. */
const AVAILABLE: readonly GrammarRow[] = [
  {
    words: 'volume create',
    pattern: CREATE_PATTERN,
    help: 'define a volume from directories of servers',
    helpClass: 'volume',
    run: createVolume,
  },
  {
    words: 'volume start',
    pattern: 'volume start <VOLNAME> [force]',
    help: 'serve a volume; with force, start its dead bricks again',
    helpClass: 'volume',
    run: startVolume,
  },
  {
    words: 'volume stop',
    pattern: 'volume stop <VOLNAME> [force]',
    help: 'end the serving of a volume',
    helpClass: 'volume',
    run: stopVolume,
  },
  {
    words: 'volume delete',
    pattern: 'volume delete <VOLNAME>',
    help: 'forget a stopped volume; the files stay on its bricks',
    helpClass: 'volume',
    run: deleteVolume,
  },
  {
    words: 'volume info',
    pattern: 'volume info [all|<VOLNAME>]',
    help: 'show how volumes are defined',
    helpClass: 'volume',
    run: volumeInfo,
  },
  {
    words: 'volume list',
    pattern: 'volume list',
    help: 'show the names of all volumes',
    helpClass: 'volume',
    run: volumeList,
  },
  {
    words: 'volume status',
    pattern: STATUS_PATTERN,
    help: 'show the processes of volumes, and what they hold',
    helpClass: 'volume',
    run: volumeStatus,
  },
  {
    words: 'volume set',
    // GlusterFS shows this of its two forms after a mistake.
    pattern: 'volume set <VOLNAME> group <GROUP>',
    help: 'set the options of a profile',
    helpClass: 'volume',
    run: setOptions,
  },
  {
    words: 'volume get',
    pattern: 'volume get <VOLNAME|all> <key|all>',
    help: 'show options of a volume, or of the pool',
    helpClass: 'volume',
    run: getOptions,
  },
  {
    words: 'volume reset',
    pattern: 'volume reset <VOLNAME> [option] [force]',
    help: 'take options back that were set',
    helpClass: 'volume',
    run: resetVolume,
  },
  {
    words: 'volume heal',
    pattern: HEAL_PATTERN,
    help: 'show what is to be healed, heal it, decide split-brains',
    helpClass: 'volume',
    timeoutSeconds: HEAL_SECONDS_MAX,
    run: volumeHeal,
  },
  {
    words: 'volume add-brick',
    pattern:
      'volume add-brick <VOLNAME> [<replica> <COUNT> [arbiter <COUNT>]] <NEW-BRICK> ... [force]',
    help: 'make a volume wider, or give it more copies',
    helpClass: 'volume',
    run: addBrick,
  },
  {
    words: 'volume remove-brick',
    pattern:
      'volume remove-brick <VOLNAME> [replica <COUNT>] <BRICK> ... <start|stop|status|commit|force>',
    help: 'take bricks out of a volume',
    helpClass: 'volume',
    run: removeBrick,
  },
  {
    words: 'volume replace-brick',
    pattern: 'volume replace-brick <VOLNAME> <SOURCE-BRICK> <NEW-BRICK> {commit force}',
    help: 'put an empty brick in the place of another; it is healed',
    helpClass: 'volume',
    run: replaceBrick,
  },
  {
    words: 'volume reset-brick',
    pattern: 'volume reset-brick <VOLNAME> <SOURCE-BRICK> {{start} | {<NEW-BRICK> commit}}',
    help: 'take a brick down; take its emptied directory into use again',
    helpClass: 'volume',
    run: resetBrick,
  },
  {
    words: 'peer status',
    pattern: 'peer status',
    help: 'show the other servers of the pool',
    helpClass: 'peer',
    run: peerStatus,
  },
  {
    words: 'pool list',
    pattern: 'pool list',
    help: 'show all servers of the pool, this one too',
    helpClass: 'peer',
    run: poolList,
  },
  {
    words: 'system:: getspec',
    pattern: 'system:: getspec <VOLFILE-ID>',
    help: 'print a volfile',
    helpClass: undefined,
    run: getVolfile,
  },
  {
    words: 'system:: getwd',
    pattern: 'system:: getwd',
    help: 'print the working directory of glusterd',
    helpClass: undefined,
    run: getWorkDirectory,
  },
  {
    words: 'system:: uuid get',
    pattern: 'system:: uuid get',
    help: 'print the UUID of this server',
    helpClass: undefined,
    run: uuidGet,
  },
]

/** Shown in help besides the rows above. */
const SECOND_FORMS: readonly GrammarRow[] = [
  {
    words: 'volume set',
    pattern: 'volume set <VOLNAME> <KEY> <VALUE>',
    help: 'set options of a volume; `volume set help` shows which there are',
    helpClass: 'volume',
  },
]

const HELP_CLASSES: readonly (readonly [words: string, name: HelpClass, help: string])[] = [
  ['peer help', 'peer', 'what can be done with servers'],
  ['volume help', 'volume', 'what can be done with volumes'],
  ['volume bitrot help', 'bitrot', 'what can be done against bit rot'],
  ['volume quota help', 'quota', 'what can be done with quotas'],
  ['snapshot help', 'snapshot', 'what can be done with snapshots'],
  ['global help', 'global', 'what concerns the whole pool'],
]

/** GlusterFS's commands that this release does not have yet. */
const MISSING: readonly string[] = [
  'volume rebalance',
  'volume sync',
  'volume log',
  'volume statedump',
  'volume clear-locks',
  'volume barrier',
  'volume profile',
  'volume top',
  'volume quota',
  'volume inode-quota',
  'volume bitrot',
  'volume geo-replication',
  'peer probe',
  'peer detach',
  'snapshot create',
  'snapshot clone',
  'snapshot restore',
  'snapshot status',
  'snapshot info',
  'snapshot list',
  'snapshot config',
  'snapshot delete',
  'snapshot activate',
  'snapshot deactivate',
  'get-state',
  'nfs-ganesha',
  'system:: help',
  'system:: portmap brick2port',
  'system:: fsm log',
  'system:: mount',
  'system:: umount',
  'system:: uuid reset',
  'system:: copy file',
  'system:: execute',
]

const missingRows: readonly GrammarRow[] = MISSING.map(words => ({
  words,
  pattern: words,
  help: '',
  helpClass: undefined,
}))

const helpRows: readonly GrammarRow[] = HELP_CLASSES.map(([words, name, help]) => ({
  words,
  pattern: words,
  help,
  helpClass: name,
  run: classHelp(name, () => [...AVAILABLE, ...SECOND_FORMS, ...helpRows]),
}))

/** The whole grammar. */
export const GRAMMAR: readonly GrammarRow[] = [
  ...AVAILABLE,
  ...missingRows,
  ...helpRows,
  {
    words: 'help',
    pattern: 'help [all]',
    help: 'show the classes of commands',
    helpClass: undefined,
    run: overview(HELP_CLASSES.map(([words, , help]) => [words, help])),
  },
]
