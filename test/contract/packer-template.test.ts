import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { benchJob, packerEnvironment, packerInput } from '../../bench/packer.ts';
import { composeBuild, packerBuild } from '../../bench/packer-phases.ts';
import { composeRecipe, packerTemplate } from '../../bench/packer-template.ts';
import { loadRecipe } from '../../src/recipe/load.ts';
import { plan } from '../../src/recipe/plan.ts';

const GIB = 1024 ** 3;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-packer-test-'));
  writeFileSync(join(folder, 'bench.txt'), 'text');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `packer validate`: undefined where there is no Packer. */
function validate(text: string, at: string): { readonly status: number | null; readonly output: string } | undefined {
  const file = join(at, 'template.pkr.hcl');
  writeFileSync(file, text);
  const env = { ...process.env, ...packerEnvironment(at) };
  const { error, status, stdout, stderr } = spawnSync('packer', ['validate', file], { env, encoding: 'utf8' });
  return error === undefined ? { status, output: stdout + stderr } : undefined;
}

/** Packer's later releases come without builders. */
function whyNoPacker(): string | undefined {
  const at = mkdtempSync(join(tmpdir(), 'compose-packer-probe-'));
  try {
    const source = 'source "qemu" "x" {\n iso_url = "/x"\n iso_checksum = "none"\n communicator = "none"\n}\n';
    const result = validate(`${source}build {\n sources = ["source.qemu.x"]\n}\n`, at);
    if (result === undefined) return 'no packer here';
    return result.status === 0 ? undefined : 'packer has no QEMU builder here';
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
}

const missing = whyNoPacker();

const ACCELERATOR = { kind: 'tcg', cpu: 'Westmere', threads: 'multi' } as const;

test.skipIf(missing !== undefined)(`packer validate takes the template${missing ? ` (${missing})` : ''}`, async () => {
  const job = benchJob(folder, 4 * GIB);
  const { signal } = new AbortController();
  for (const accelerator of [ACCELERATOR, undefined]) {
    const template = await packerInput(job, join(folder, 'base.qcow2'), folder, accelerator, signal);
    expect(validate(template, folder)).toEqual({ status: 0, output: expect.any(String) });
    expect(validate(template.replace('skip_compaction', 'skip_nothing'), folder)?.status).not.toBe(0);
  }
});

test('the template has the same QEMU arguments, without the ways to the guest that are compose’s own', () => {
  const argv = ['-name', 'x', '-S', '-nodefaults', '-m', '1536M', '-chardev', 'socket,id=qmp,path=/q', '-serial', 's'];
  argv.push('-netdev', 'user,id=net0', '-device', 'virtio-net-pci,netdev=net0', '-device', 'virtio-rng-pci');
  const files = { base: '/b', output: '/o', privateKey: '/k', serialLog: '/s.log', env: { a: '${b} %{c}' } };
  const template = packerTemplate(benchJob('/f', 4 * GIB), { ...files, machine: { argv } });
  expect(
    template
      .split('\n')
      .find((line) => line.includes('qemuargs'))
      ?.trim(),
  ).toBe(
    'qemuargs = [["-nodefaults",""],["-m","1536M"],["-device","virtio-net-pci,netdev=user.0"],["-device","virtio-rng-pci"],["-serial","file:/s.log"]]',
  );
  expect(template).toContain('environment_vars = ["a=$${b} %%{c}"]');
  expect(template).toContain('disk_size = "4096M"');
  const machine = { code: '/c', vars: '/v', seed: '/i' };
  const maas = packerTemplate(benchJob('/f', 4 * GIB), { ...files, machine });
  expect(maas).toContain('["-drive","file=/o/disk.qcow2,format=qcow2"],["-drive","file=/i,format=raw"]');
  expect(maas).toMatch(/boot_wait = "2s"\n[\s\S]*memory = 1536\n[\s\S]*cpus = 2\n/);
});

test('the recipe is one, with the sources of the base disk', () => {
  const planned = plan({ recipe: 'debian-12', source: 'packages' });
  if (planned.source.kind !== 'packages') throw new Error('another source');
  const file = join(folder, 'recipe.json');
  writeFileSync(file, composeRecipe(benchJob(folder, 4 * GIB), planned.source));
  expect(loadRecipe(file).provision).toHaveLength(5);
  const ours = plan({ recipe: file, source: 'packages' });
  expect(ours.source).toEqual(planned.source);
  expect(ours.machine).toMatchObject({ disk: 4 * GIB, cpus: 2, firmware: 'uefi' });
});

test('phases are read out of both logs, and a log that lacks one is refused', () => {
  const job = benchJob('/f', 4 * GIB);
  const done = ['plan', 'start', 'boot', 'cloud-init', 'step 1: file', 'step 2: package', 'step 3: script'];
  done.push('step 4: restart', 'step 5: script after the restart', 'trim', 'power off', 'pack');
  const events = done.map((phase, at) => ({
    at: 10 * at,
    text: JSON.stringify({ type: 'phase', phase, state: 'done' }),
  }));
  const ours = composeBuild(events, job);
  expect(ours.ms).toBe(100);
  expect(ours.phases.at(0)).toEqual({ phase: 'before QEMU runs', ms: 10 });
  expect(() => composeBuild(events.slice(0, 6), job)).toThrow('has the phases before QEMU runs');

  const ui = (text: string): string => `==> qemu.bench: ${text}`;
  const script = ui('Provisioning with shell script: /tmp/packer-shell1');
  const texts = ['2026/11/21 12:00:00 packer: Executing /usr/bin/qemu-system-x86_64: []string{"-m"}'];
  texts.push(ui('Waiting for SSH to become available...'), ui('Connected to SSH!'), script, ui('Uploading a => /b'));
  texts.push(script, script, script, script, ui('Gracefully halting virtual machine...'), 'packer: VM shut down.');
  const log = texts.map((text, at) => ({ at: 10 * (at + 1), text }));
  const theirs = packerBuild(log, 150, job);
  expect(theirs).toMatchObject({ ms: 110, cleanUpMs: 40 });
  expect(theirs.phases.reduce((sum, { ms }) => sum + ms, 0)).toBe(110);
  expect(() => packerBuild(log.slice(0, -1), 150, job)).toThrow('the log of Packer has the phases');
});
