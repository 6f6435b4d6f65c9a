import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

/**
 * Reads names of files (`+f path`, `-f path`) and process groups (`+g id`, `-g id`) until its input closes, which happens
 * when compose ends however it ends; then kills the groups and removes the files that are left. Each held name is one
 * positional parameter, so that no character of a path but a newline has a meaning. What the killed still had in hand may
 * write once more, hence the second removal.
 */
const REAPER = `
trap '' INT TERM HUP
while IFS= read -r line; do
  name=\${line#?}
  case $line in
    +*) set -- "$@" "$name" ;;
    -*) count=$#
      while [ "$count" -gt 0 ]; do
        [ "$1" = "$name" ] || set -- "$@" "$1"
        shift; count=$((count - 1))
      done ;;
  esac
done
[ $# -eq 0 ] && exit 0
for held; do case $held in g\\ *) kill -s KILL -- "-\${held#g }" ;; esac; done
for held; do case $held in f\\ *) rm -rf -- "\${held#f }" ;; esac; done
sleep 0.5
for held; do case $held in f\\ *) rm -rf -- "\${held#f }" ;; esac; done
`;

let reaper: ChildProcess | undefined;

/** The reaper of this process, started with the first thing it is to look after. */
function tell(line: string): void {
  if (reaper === undefined) {
    // A session of its own: what a terminal sends to compose must not end it.
    reaper = spawn('/bin/sh', ['-c', REAPER, 'compose-reaper'], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Compose does without it on a host that cannot start one more process.
    reaper.on('error', () => {});
    reaper.stdin?.on('error', () => {});
    reaper.unref();
    (reaper.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  }
  reaper.stdin?.write(`${line}\n`);
}

/** Has the file or folder at `path` removed when compose ends, also when it is killed, unless the answer is disposed before. */
export function reapPath(path: string): Disposable {
  return hold(`f ${resolve(path)}`);
}

/** Has the process group `id` killed when compose ends, also when it is killed, unless the answer is disposed before. */
export function reapGroup(id: number): Disposable {
  return hold(`g ${id}`);
}

function hold(name: string): Disposable {
  if (name.includes('\n')) return { [Symbol.dispose]: () => {} };
  tell(`+${name}`);
  return { [Symbol.dispose]: () => tell(`-${name}`) };
}
