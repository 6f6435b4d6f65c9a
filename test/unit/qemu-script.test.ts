import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { qemuScript } from '../../src/machine/qemu-script.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compose-script-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A program that needs the folder of the sockets, as QEMU does, tells its arguments, and ends as it was told to. */
const PROGRAM = `#!/bin/sh
: >"$SOCKETS/qmp" || exit 9
printf '%s\\n' "$@" >"$OUT"
echo "qemu: $0 says why" >&2
exit 7
`;

function runOf(argv: readonly string[], tpm?: readonly string[], extra: readonly string[] = []) {
  const sockets = join(folder, 'its sockets');
  const program = join(folder, "it's qemu");
  const script = join(folder, 'qemu.sh');
  writeFileSync(program, PROGRAM, { mode: 0o700 });
  writeFileSync(script, qemuScript(program, argv, { sockets, tpm }), { mode: 0o700 });
  const env = { ...process.env, SOCKETS: sockets, OUT: join(folder, 'out') };
  const run = () => spawnSync(script, extra, { env, encoding: 'utf8' });
  const given = () => readFileSync(join(folder, 'out'), 'utf8').split('\n').slice(0, -1);
  return { sockets, run, given };
}

const SERIAL = 'socket,id=serial0,path=/gone/serial,server=on,wait=off,logfile=/run/serial.log';

test('the script ends as QEMU does, says what it says, and leaves nothing behind', () => {
  const { sockets, run } = runOf(['-S']);
  for (let time = 0; time < 2; time++) {
    const { status, stderr } = run();
    expect([status, stderr]).toEqual([7, expect.stringMatching(/says why\n$/)]);
    expect(existsSync(sockets)).toBe(false);
  }
});

test('nobody is there to let the guest run or to take its console: it runs at once, on the terminal', () => {
  const { run, given } = runOf(
    ['-S', '-chardev', SERIAL, '-serial', 'chardev:serial0', '-append', 'a "b" $c -S'],
    undefined,
    ['-snapshot'],
  );
  expect(run().status).toBe(7);
  expect(given()).toEqual([
    ...['-chardev', 'stdio,id=serial0,mux=on,signal=off', '-mon', 'chardev=serial0,mode=readline'],
    ...['-serial', 'chardev:serial0', '-append', 'a "b" $c -S', '-snapshot'],
  ]);
});

test('a machine that still runs is left alone', () => {
  const { sockets, run } = runOf([]);
  execFileSync('mkdir', [sockets]);
  const { status, stderr } = run();
  expect([status, stderr]).toEqual([1, expect.stringContaining('compose attach')]);
  expect([existsSync(sockets), existsSync(join(folder, 'out'))]).toEqual([true, false]);
});

test('its TPM is started before it, and is needed', () => {
  const tpm = (status: number) => [
    'sh',
    '-c',
    `echo "$0 $1" >"$SOCKETS/said"; cp "$SOCKETS/said" "$OUT.tpm"; exit ${status}`,
    'x',
  ];
  expect(runOf([], tpm(0)).run().status).toBe(7);
  expect(readFileSync(join(folder, 'out.tpm'), 'utf8')).toBe('x --daemon\n');
  rmSync(join(folder, 'out'));
  expect(runOf([], tpm(3)).run().status).toBe(3);
  expect(existsSync(join(folder, 'out'))).toBe(false);
});
