/** The command of a machine as a script for people, who start it without compose around it. */
import { shellWord } from '../formats/shell-word.ts';

/** What compose makes around QEMU and takes away with the machine; the script makes it again. */
export interface ScriptPlaces {
  /** Folder of the machine's sockets. */
  readonly sockets: string;
  /** The command that starts its TPM. */
  readonly tpm?: readonly string[] | undefined;
}

/** In place of the serial socket, at whose other end nobody would be: this terminal, with QEMU's monitor behind Ctrl-A C. */
const TERMINAL = ['stdio,id=serial0,mux=on,signal=off', '-mon', 'chardev=serial0,mode=readline'];

/**
 * A shell script that starts `path` with `argv`, without the pause that compose connects in, and with the console on the
 * terminal: the console log of the run is not written over. Its own arguments come last. Where the machine still runs its
 * sockets are there, and the script says so and does nothing.
 */
export function qemuScript(path: string, argv: readonly string[], places?: ScriptPlaces): string {
  const command = [path, ...argv].map(shellWord).join(' ');
  if (places === undefined) return `#!/bin/sh\nexec ${command} "$@"\n`;
  const paused = argv.indexOf('-S');
  const byHand = argv.flatMap((word, at) => {
    if (at === paused) return [];
    return word.startsWith('socket,id=serial0,') ? TERMINAL : [word];
  });
  return [
    '#!/bin/sh',
    '# The machine as compose started it, but that its console is this terminal: Ctrl-A X ends it, Ctrl-A C is the monitor.',
    '# It writes to its disks; with the argument -snapshot they stay as they are.',
    `sockets=${shellWord(places.sockets)}`,
    'mkdir -m 700 "$sockets" || { echo "The machine runs: compose attach shows it." >&2; exit 1; }',
    `trap 'rm -rf "$sockets"' EXIT`,
    "trap 'exit 130' INT TERM HUP",
    ...(places.tpm === undefined ? [] : [`${[...places.tpm, '--daemon'].map(shellWord).join(' ')} || exit`]),
    `${[path, ...byHand].map(shellWord).join(' ')} "$@"`,
    '',
  ].join('\n');
}
