/** Disks on LVM: recipes driven from their medium to a ddgz, in a real QEMU, that starts on another disk: rocky-9, opensuse-15. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose, EMULATED } from '../../fixtures/cli.ts';
import { anacondaDouble, RECORDS, smallSystems } from '../../fixtures/doubles/anaconda.ts';
import { failedInstallation, plannedInstallation } from '../../fixtures/doubles/installations.ts';
import { rootDevice, startRestored } from '../../fixtures/doubles/restored.ts';
import { suseDouble } from '../../fixtures/doubles/suse.ts';
import { NO_SMALL_IMAGE } from '../../fixtures/small-image.ts';
import { which } from '../../src/host/tools.ts';

const LONG = 600_000;
const LACKS = NO_SMALL_IMAGE ?? (which('lvm') === undefined ? 'lvm2' : undefined);
const HAVE = LACKS === undefined;
const why = HAVE ? '' : ` (skipped: needs ${LACKS})`;

interface Driven {
  readonly name: 'rocky-9' | 'opensuse-15';
  /** Where its double keeps the answers it was given. */
  readonly answers: string;
  /** What grows the root, once, on the machine that is deployed. */
  readonly grows: string;
}

const DRIVEN: readonly Driven[] = [
  { name: 'rocky-9', answers: 'ks.cfg', grows: 'compose-grow-lvm.service' },
  { name: 'opensuse-15', answers: 'profile', grows: 'compose-grow-lvm.service' },
];

let folder = '';
const media = new Map<string, string>();
const iso = (name: string): string => media.get(name) ?? '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-lvm-'));
  if (!HAVE) return;
  const systems = await smallSystems(folder);
  for (const { name } of DRIVEN) {
    const write =
      name === 'rocky-9' ? anacondaDouble(folder, name, systems, true) : suseDouble(folder, name, systems, true);
    media.set(name, await write);
  }
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

for (const { name, answers, grows } of DRIVEN) {
  test.skipIf(!HAVE)(
    `${name}: the installer puts the root on LVM as its answers ask, and the ddgz of that starts from there${why}`,
    async () => {
      const out = join(folder, `${name}.out`);
      const env = { COMPOSE_STATE: join(folder, `${name}.state`), COMPOSE_CACHE: join(folder, `${name}.cache`) };
      const given = ['--layout', 'lvm', '--iso', iso(name), ...ALLOW_FLAGS, ...EMULATED];
      const built = await compose(['build', name, ...given, '--out', out], { env });
      expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
        status: 0,
        stderr: '',
      });

      const planned = plannedInstallation({ recipe: name, layout: 'lvm', iso: iso(name) });
      const [artifact] = planned.artifacts;
      await using booted = await startRestored(join(out, artifact?.file ?? ''), folder);
      const read = async (path: string): Promise<string> => (await booted.session.run(`cat ${path}`)).stdout;
      expect(await rootDevice(booted)).toBe('/dev/system/root');
      expect(await read(`/${RECORDS}/${answers}`)).toBe(planned.source.answers[0]?.files[0]?.content);
      expect(await read(`/${RECORDS}/systemctl`)).toContain(`enable ${grows}\n`);
      // LVM would look at no disk but that of the build.
      expect((await booted.session.run('ls /etc/lvm/devices')).stdout).toBe('');
    },
    LONG,
  );
}

test.skipIf(!HAVE)(
  `rocky-9: a volume of a group that nobody makes ends the build at once, as installer.kickstart${why}`,
  async () => {
    const made = plannedInstallation({ recipe: 'rocky-9', layout: 'lvm', iso: iso('rocky-9') });
    const answer = (text: string): string => text.replace('--vgname=system', '--vgname=other');
    const failed = await failedInstallation(made, join(folder, 'failure'), { answer });
    expect(failed.code).toBe('installer.kickstart');
    expect(failed.serial).toContain('No volume group exists with the name "other".');
  },
  LONG,
);
