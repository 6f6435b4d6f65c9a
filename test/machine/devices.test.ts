import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { appearance } from '../../src/host/appearance.ts';
import { which } from '../../src/host/tools.ts';
import { ARCHITECTURES, type Arch } from '../../src/machine/arch.ts';
import { machineArgv } from '../../src/machine/argv.ts';
import { BOARDS, type NicModel } from '../../src/machine/board.ts';
import { findFirmware, prepareFirmware } from '../../src/machine/firmware.ts';
import { startQemu } from '../../src/machine/process.ts';
import { QmpSession } from '../../src/machine/qmp.ts';
import type { DiskInterface, MachineDisk, MachineSpec } from '../../src/machine/spec.ts';

const MIB = 1024 * 1024;
const LONG = 300_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-dev-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Starts QEMU paused with what `spec` makes, and answers how it ended when told to quit. */
async function accepts(spec: MachineSpec): Promise<string> {
  const signal = AbortSignal.timeout(LONG);
  const { arch, secureBoot } = spec;
  const found = spec.firmware === 'uefi' ? await findFirmware(arch, { secureBoot }) : undefined;
  const firmware = found && (await prepareFirmware(found, folder, { arch, signal }));
  // A socket of the machine before would be taken for this one's.
  const sockets = await mkdtemp(join(folder, 's'));
  const [qmpSocket, serialSocket] = ['qmp', 'serial'].map((name) => join(sockets, name)) as [string, string];
  const accelerator = { kind: 'tcg', cpu: BOARDS[arch].cpu.tcg } as const;
  const run = { accelerator, firmware, qmpSocket, serialSocket, serialLog: join(folder, 'serial.log') };
  await using qemu = await startQemu(BOARDS[arch].qemu, machineArgv(spec, run), folder);
  const ended = qemu.exited.then(({ code, signal: by }) => `${code ?? by} ${qemu.stderr()}`);
  // QEMU makes the socket of QMP first: it listens when the other one is there.
  const waiting = new AbortController();
  const both = Promise.all([qmpSocket, serialSocket].map((path) => appearance(path, waiting.signal)));
  const early = await Promise.race([
    ended,
    both.then(
      () => undefined,
      () => undefined,
    ),
  ]);
  waiting.abort();
  if (early !== undefined) return early;
  // A QEMU that ends while it makes its devices has the socket already; why it ended tells more.
  const options = { signal, log: join(folder, 'qmp.log'), greetingMs: LONG };
  const qmp = await QmpSession.connect(qmpSocket, options).catch(() => undefined);
  await qmp?.command('quit', {}).catch(() => {});
  const text = await ended;
  await qmp?.[Symbol.asyncDispose]();
  return text;
}

const INTERFACES: readonly (DiskInterface | undefined)[] = [undefined, 'virtio', 'scsi', 'sata', 'nvme', 'usb'];

async function randomMachine(arch: Arch, seed: number): Promise<MachineSpec> {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[next() % list.length] as T;
  const disks: MachineDisk[] = [];
  for (let count = next() % 6; count > 0; count--) {
    const path = join(folder, `${disks.length},disk`);
    await writeFile(path, Buffer.alloc(MIB));
    const media = pick(['disk', 'disk', 'cdrom', ...(BOARDS[arch].floppy ? ['floppy'] : [])] as const);
    const kinds = media === 'cdrom' ? INTERFACES.filter((kind) => kind !== 'virtio' && kind !== 'nvme') : INTERFACES;
    if (media === 'floppy' && disks.filter((disk) => disk.media === 'floppy').length === 2) continue;
    const kind = pick(kinds);
    disks.push({ path, format: 'raw', media: media as 'disk', ...(kind && { interface: kind }) });
  }
  const firmware = arch === 'amd64' ? pick(['bios', 'uefi'] as const) : 'uefi';
  const video = pick([undefined, 'standard', 'virtio'] as const);
  const secret = join(folder, 'password');
  await writeFile(secret, 'a password');
  const vnc = pick([undefined, { unix: join(folder, 'vnc') }, { passwordFile: secret }]);
  const forwards = pick([[], [{ protocol: 'udp', guestPort: 53 }]] as const);
  return {
    name: `device set ${seed}`,
    arch,
    memory: 128 * MIB,
    cpus: 4,
    ...(next() % 2 === 0 && { topology: { sockets: 1, cores: 2, threads: 2 } }),
    firmware,
    secureBoot: firmware === 'uefi' && next() % 2 === 0,
    disks,
    ssh: next() % 2 === 0,
    forwards,
    nic: pick(Object.keys(BOARDS[arch].nics) as NicModel[]),
    ...(video && { video }),
    ...(vnc && { vnc }),
    extraArgs: pick([[], ['-device', 'virtio-balloon-pci']]),
  };
}

for (const arch of ARCHITECTURES) {
  const missing = which(BOARDS[arch].qemu) === undefined ? ` (${BOARDS[arch].qemu} is not installed)` : '';
  test.skipIf(missing !== '')(
    `QEMU takes twelve sets of devices of ${arch}${missing}`,
    async () => {
      for (let seed = 1; seed <= 12; seed++) {
        const spec = await randomMachine(arch, seed);
        const ended = await accepts(spec);
        expect(ended.startsWith('0 '), `${JSON.stringify(spec, null, 1)}\n${ended}`).toBe(true);
      }
    },
    LONG,
  );
}
