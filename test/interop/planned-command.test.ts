/** The command a plan prints is one QEMU takes. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandText, plannedCommand } from '../../src/build/planned-command.ts';
import { findFirmware } from '../../src/machine/firmware.ts';
import { plan } from '../../src/recipe/plan.ts';

test('the command of a plan is started by a shell as it is printed, with what it names in its place', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'compose-planned-command-'));
  try {
    const recipe = join(folder, 'nvme.yaml');
    await writeFile(recipe, 'extends: debian-12\nname: on-nvme\nmachine: { disk_interface: nvme, memory: 256M }\n');
    const planned = plan({ recipe });
    const command = await plannedCommand(planned, 'tcg');
    expect(command.argv[0]).toBe('qemu-system-x86_64');
    const text = commandText(command);
    expect(text).toMatch(/^command {3}TCG: /);
    expect(text).toContain('\n  -device nvme,id=disk0,serial=disk0,drive=disk0,bootindex=0 \\\n');
    const [run, sockets] = [join(folder, 'RUN'), join(folder, 'SOCKETS')];
    for (const path of [run, sockets]) mkdirSync(path);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(run, 'disk.qcow2'), '16M']);
    await writeFile(join(run, 'seed.iso'), Buffer.alloc(1024 * 1024));
    const { vars } = await findFirmware('amd64');
    if (vars !== undefined) await copyFile(vars.path, join(run, 'efivars.fd'));
    const script = `${text.split('\n').slice(1).join('\n')} -monitor stdio`;
    const said = execFileSync('sh', ['-c', script], { cwd: folder, input: 'info block\nquit\n', encoding: 'utf8' });
    expect(said).toMatch(/disk0 \(#block\d+\): RUN\/disk\.qcow2 \(qcow2\)/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
