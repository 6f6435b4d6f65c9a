import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Context } from '../events.ts';
import { walkHost } from '../guest/host-tree.ts';
import { quote } from '../guest/shell.ts';
import { tarOf } from '../guest/tar-upload.ts';
import { makeFolder } from '../host/make-folder.ts';
import { run } from '../host/process.ts';
import type { AcceleratorPolicy } from '../machine/accelerator.ts';
import { BOARDS } from '../machine/board.ts';
import type { Firmware } from '../machine/firmware.ts';
import { runInstaller } from '../machine/install.ts';
import type { MachineSpec } from '../machine/spec.ts';
import { FILE_TYPES } from '../pack/filetypes.ts';
import type { RehearsedArtifact } from './artifact.ts';
import { type CurtinConfig, cloudConfigFiles, curtinConfig, netbootUrl, statusUrl } from './curtin-config.ts';
import type { EphemeralSystem } from './ephemeral-disk.ts';
import { type JobFile, writeEphemeralInitrd } from './ephemeral-initrd.ts';
import { type Failure, failure, type StageName } from './failure.ts';
import type { MetadataService } from './metadata-server.ts';
import { MACHINE, machineNetwork, resolverOf } from './network.ts';
import type { StatusEvent } from './status-event.ts';
import { planStorage, type RehearsalFirmware, type StorageLayout, TARGET_SERIAL } from './storage-layout.ts';

export interface DeployWork {
  readonly artifact: RehearsedArtifact;
  readonly ephemeral: EphemeralSystem;
  readonly service: MetadataService;
  readonly layout: StorageLayout;
  readonly firmware: RehearsalFirmware;
  /** Flash of the deploying machine; undefined for a BIOS. */
  readonly flash: Firmware | undefined;
  /** The blank disk, qcow2, and its length in bytes. */
  readonly target: { readonly path: string; readonly size: number };
  /** Source tree of curtin. */
  readonly curtin: string | undefined;
  /** Whether the boot loader is told of the serial console. */
  readonly console: boolean;
  readonly accelerator: AcceleratorPolicy | undefined;
  readonly runDir: string;
}

/** What the deployment told of the image. */
export interface Deployed {
  /** Release of the newest kernel in /boot; undefined where it is not known. */
  readonly kernel: string | undefined;
  /** Whose steps ran: the image's own hooks, or those built into curtin. */
  readonly hooks: string | undefined;
  /** A kernel that has no initrd. */
  readonly withoutInitrd: string | undefined;
  /** What tar said while it extracted an image without an error. */
  readonly tarSaid: string | undefined;
}

const MIB = 1024 * 1024;
const MEMORY = 1024 * MIB;
/** Under KVM; an emulated machine is given its time scale of it. */
const DEPLOY_MS = 300_000;

/** Decoders of curtin's pipelines (block_meta.py, write_image_to_disk), and tar's flags that smtar comes to. */
const DECODERS = {
  tree: { gzip: '--gzip', bzip2: '--bzip2', xz: '--xz', none: '' },
  disk: { gzip: '| zcat', bzip2: '| bzcat', xz: '| xzcat', none: '' },
  'disk-in-tar': { gzip: '| tar -xOzf -', bzip2: '| tar -xOjf -', xz: '| tar -xOJf -', none: '| tar -xOf -' },
} as const;

/** A failed stage whose script names no code of its own, as those of curtin itself. */
const STAGE_CODES: Readonly<Partial<Record<StageName, string>>> = {
  partitioning: 'rehearse.partitioning',
  extract: 'rehearse.extract',
  curthooks: 'rehearse.hook',
  hook: 'rehearse.finalize',
  late: 'rehearse.dependency',
};

/** Deploys the artifact onto the target disk in a machine of its own, which powers itself off. */
export async function deploy(work: DeployWork, context: Context): Promise<Deployed | Failure> {
  const { artifact, ephemeral, service, runDir, target, flash } = work;
  const folder = join(runDir, 'deploy');
  await makeFolder(folder, { mode: 0o700 });
  const overlay = join(folder, 'ephemeral.qcow2');
  const initrd = join(folder, 'initrd');
  const tree = join(folder, 'curtin.tar');
  const create = ['create', '-q', '-f', 'qcow2'];
  await run('qemu-img', [...create, target.path, String(target.size)], context);
  await run('qemu-img', [...create, '-b', ephemeral.disk, '-F', 'qcow2', overlay], context);
  await writeEphemeralInitrd(ephemeral, await jobFiles(work, tree), initrd);
  const console = BOARDS[artifact.arch].console;
  const spec: MachineSpec = {
    name: 'rehearsal-deploy',
    arch: artifact.arch,
    memory: MEMORY,
    cpus: 2,
    firmware: work.firmware,
    ssh: false,
    ...machineNetwork(service.network, service.port),
    kernel: {
      image: ephemeral.kernel,
      initrd,
      append: `console=${console} net.ifnames=0 panic=-1 quiet`,
    },
    disks: [
      { path: overlay, format: 'qcow2', scratch: true },
      { path: target.path, format: 'qcow2', scratch: true, serial: TARGET_SERIAL },
    ],
  };
  const before = service.events.length;
  const events = (): readonly StatusEvent[] => service.events.slice(before);
  try {
    const options = { runDir: folder, budgetMs: DEPLOY_MS, policy: work.accelerator, firmware: flash };
    await runInstaller(spec, options, context);
  } catch (error) {
    const failed = failedStage(events());
    if (failed !== undefined) return failed;
    throw error;
  } finally {
    for (const path of [overlay, initrd, tree]) await rm(path, { force: true });
  }
  return failedStage(events()) ?? deployed(events());
}

async function jobFiles(work: DeployWork, tree: string): Promise<JobFile[]> {
  const { artifact, service, firmware, layout, target, curtin } = work;
  const { arch, filetype, baseOs, custom } = artifact;
  const { content, compression } = FILE_TYPES[filetype];
  const storage = planStorage(layout, firmware, target.size);
  const imageUrl = service.offer(content === 'tree' ? 'root.tgz' : 'root-dd', artifact.path);
  const inputs = { service, imageUrl, filetype, storage, baseOs, dependencies: custom };
  const config: CurtinConfig = curtinConfig(inputs);
  if (curtin !== undefined) {
    const owner = { uid: 0, gid: 0 };
    const source = tarOf(walkHost(Buffer.from(curtin), ['/.git', '__pycache__']), { owner });
    await pipeline(Readable.from(source, { objectMode: false }), createWriteStream(tree, { mode: 0o600 }));
  }
  const settings = {
    MODE: curtin !== undefined ? 'curtin' : content === 'tree' ? 'tree' : 'disk',
    ARCH: arch,
    FIRMWARE: firmware,
    LAYOUT: layout,
    BASE_OS: baseOs,
    DEPENDENCIES: custom ? 'yes' : 'no',
    DECODER: DECODERS[content][compression],
    IMAGE_URL: imageUrl,
    CURTIN_URL: curtin === undefined ? '' : service.offer('curtin.tar', tree),
    STATUS_URL: statusUrl(service),
    NETBOOT_URL: netbootUrl(service),
    ADDRESS: `${MACHINE.address}/${MACHINE.prefix}`,
    GATEWAY: MACHINE.gateway,
    RESOLVER: resolverOf(service.network) ?? '',
    CONSUMER_KEY: service.token.consumerKey,
    TOKEN_KEY: service.token.tokenKey,
    TOKEN_SECRET: service.token.tokenSecret,
    TARGET_SERIAL,
    ROOT_PARTITION: String(storage.rootPartition),
    ESP_PARTITION: String(storage.espPartition),
    SERIAL: BOARDS[arch].console,
    CONSOLE: work.console ? 'yes' : 'no',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${quote(value)}\n`);
  const cloud = [...cloudConfigFiles(inputs)].map(([name, text]) => ({ path: `cloud.cfg.d/${name}`, content: text }));
  return [
    { path: 'settings', content: lines.join('') },
    { path: 'config.json', content: `${JSON.stringify(config, null, 1)}\n` },
    { path: 'partitions.sfdisk', content: storage.sfdisk },
    ...cloud,
  ];
}

/** The stage that failed first, in the words of whoever reported it. */
function failedStage(events: readonly StatusEvent[]): Failure | undefined {
  const event = events.find(({ type, result }) => type === 'finish' && result === 'FAIL');
  if (event === undefined) return undefined;
  // curtin sends none with the stage; the job sends the end of curtin's own when it has ended.
  const log = (event.files.at(-1) ?? events.flatMap(({ files }) => files).at(-1))?.text ?? '';
  const top = /^cmd-install\/stage-([a-z-]+)/.exec(event.name)?.[1] as StageName | undefined;
  const stage = top ?? 'partitioning';
  const [, coded, sentence] = /^(rehearse\.[a-z-]+) (.*)$/.exec(event.description) ?? [];
  const code = coded === undefined || coded === 'rehearse.stage' ? STAGE_CODES[stage] : coded;
  const evidence = { event: event.name, log: log.trimEnd().split('\n').slice(-25) };
  return failure(stage, code ?? 'rehearse.deploy', sentence ?? event.description, {
    hint:
      HINTS[code ?? ''] ?? 'The log of the stage is in the evidence, all of it in deploy/serial.log of the run folder.',
    evidence,
  });
}

const HINTS: Readonly<Record<string, string>> = {
  'rehearse.no-curtin-folder': 'curtin finds the root of a dd image by the folder /curtin, which may be empty.',
  'rehearse.kernel-architecture': 'Pack the tree with the kernel of its own architecture, or say which with --arch.',
  'rehearse.dependency': 'MAAS has curtin run this in every image of one’s own, and fails the deployment.',
  'rehearse.distribution': 'Ship /curtin/curtin-hooks, or an ID_LIKE that curtin knows.',
};

function deployed(events: readonly StatusEvent[]): Deployed | Failure {
  const note = (name: string): string | undefined =>
    events.find((event) => event.name === `rehearse/${name}`)?.description;
  const done = events.some(({ name, type, result }) => {
    return type === 'finish' && result === 'SUCCESS' && (name === 'cmd-install' || name === 'rehearse/curtin');
  });
  if (!done) return failure('curthooks', 'rehearse.deploy', 'the deployment ended without a word of how it went');
  const kernel = note('kernel');
  return {
    kernel: kernel === 'unknown' ? undefined : kernel,
    hooks: note('hooks'),
    withoutInitrd: note('initrd'),
    tarSaid: note('tar'),
  };
}
