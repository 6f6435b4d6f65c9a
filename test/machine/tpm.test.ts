import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { microGuest } from '../../fixtures/micro-guest.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { startMachine } from '../../src/machine/start.ts';
import { startTpm } from '../../src/machine/tpm.ts';

const LONG = 300_000;
const swtpm = which('swtpm') === undefined ? ' (swtpm is not installed)' : '';
const signal = new AbortController().signal;

let folder = '';
let sockets = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-tpm-'));
  sockets = join(folder, 's');
  await mkdir(sockets);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.skipIf(swtpm !== '')(`a TPM is there when its socket is, and gone when disposed${swtpm}`, async () => {
  const tpm = await startTpm(sockets, join(folder, 'tpm'), { signal });
  expect(existsSync(tpm.socket)).toBe(true);
  expect(existsSync(`/proc/${tpm.pid}`)).toBe(true);
  await tpm[Symbol.asyncDispose]();
  expect(existsSync(`/proc/${tpm.pid}`)).toBe(false);
});

test('a host without swtpm is told which package brings it', async () => {
  const started = startTpm(sockets, join(folder, 'tpm'), { signal, program: 'no-such-swtpm' });
  await expect(started).rejects.toMatchObject({ code: 'tool.missing', exitCode: 3 });
});

test('a swtpm that ends by itself says why', async () => {
  const program = join(folder, 'swtpm');
  await writeFile(program, '#!/bin/sh\necho "no room for the state" >&2\nexit 7\n', { mode: 0o755 });
  const started = startTpm(sockets, join(folder, 'tpm'), { signal, program: `../../../../../../..${program}` });
  await expect(started).rejects.toMatchObject({
    code: 'tpm.failed',
    message: expect.stringContaining('exit status 7'),
    evidence: { stderr: ['no room for the state'] },
  });
});

test('a swtpm that never answers is ended when the build is', async () => {
  const program = join(folder, 'swtpm');
  await writeFile(program, `#!/bin/sh\necho $$ > ${folder}/pid\nexec sleep 1000\n`, { mode: 0o755 });
  const build = new AbortController();
  const started = startTpm(sockets, join(folder, 'tpm'), {
    signal: build.signal,
    program: `../../../../../../..${program}`,
  });
  const refused = expect(started).rejects.toThrow('enough');
  const said = (): Promise<string> => readFile(join(folder, 'pid'), 'utf8').catch(() => '');
  await expect.poll(said).toMatch(/^\d+\n$/);
  build.abort(new Error('enough'));
  await refused;
  expect(existsSync(`/proc/${(await said()).trim()}`)).toBe(false);
});

test.skipIf(swtpm !== '')(
  `a guest with a TPM has a TPM 2.0, and nothing is left of it${swtpm}`,
  async () => {
    // The driver of tpm-crb is a module, which the micro-guest has not; ACPI's table tells as well.
    const script =
      'mkdir /sys; mount -t sysfs sys /sys; ls /sys/firmware/acpi/tables | grep -q TPM2 && echo has TPM2; sleep 1; poweroff -f';
    const spec = { ...(await microGuest(folder, script)), tpm: true };
    await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg' }, quietContext());
    expect(machine.argv.join(' ')).toContain('tpm-crb,tpmdev=tpm0');
    await machine.shutdown({ ask: async () => {}, budgetMs: LONG });
    expect(machine.serial.tail(20).join('\n')).toContain('has TPM2');
    expect(existsSync(join(folder, 'tpm/tpm2-00.permall'))).toBe(true);
  },
  LONG,
);
