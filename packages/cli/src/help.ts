/**
 * `help` in its forms: the classes of commands, and the commands of a class. Only what works is
 * listed.
 */

import type { Command } from './command.ts'
import type { GrammarRow, HelpClass } from './grammar.ts'

/** Lines of the `help` command. */
export function overview(classes: readonly (readonly [words: string, help: string])[]): Command {
  return input => {
    for (const [words, help] of classes) input.terminal.out(` ${words.padEnd(24)} - ${help}`)
    input.terminal.out('\n')
    return Promise.resolve(0)
  }
}

/** The commands of one class, sorted by their form. */
export function classHelp(name: HelpClass, rows: () => readonly GrammarRow[]): Command {
  return input => {
    const title = `gluster ${name} commands`
    const lines = rows()
      .filter(row => row.helpClass === name)
      .map(row => `${row.pattern} - ${row.help}`)
      .sort()
    const underline = '='.repeat(title.length + 1)
    input.terminal.out(['', title, underline, '', ...lines, '', ''].join('\n'))
    return Promise.resolve(0)
  }
}
