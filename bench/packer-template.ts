/** One job for two tools: the steps of the Packer benchmark as a compose recipe and as a Packer template. */
import { readOptions } from '../src/machine/argv-options.ts';
import type { PlannedSource } from '../src/recipe/plan.ts';

/** A step both tools have. */
export type Step =
  | { readonly kind: 'upload'; readonly title: string; readonly from: string; readonly to: string }
  | { readonly kind: 'shell'; readonly title: string; readonly lines: readonly string[] }
  | { readonly kind: 'reboot'; readonly title: string };

/** What both sides of the comparison are given. */
export interface Job {
  readonly memory: number;
  readonly cpus: number;
  /** Length of the base disk, bytes. */
  readonly diskSize: number;
  readonly user: string;
  readonly steps: readonly Step[];
}

/** What Packer is given beside the job. */
export interface PackerFiles {
  /** The base disk, which the guest's disk is an overlay of. */
  readonly base: string;
  /** Folder that Packer makes, with the guest's disk in it. */
  readonly output: string;
  readonly privateKey: string;
  readonly serialLog: string;
  /** The machine the guest runs in, its disk being `output`/`DISK_NAME`. */
  readonly machine:
    | {
        /** compose's, by the arguments of its own QEMU. */
        readonly argv: readonly string[];
      }
    | {
        /** That of packer-maas's templates for cloud images: flash files, seed, and QEMU's defaults. */
        readonly code: string;
        readonly vars: string;
        readonly seed: string;
      };
  /** Environment of the steps, such as the proxy's. */
  readonly env: Readonly<Record<string, string>>;
}

export const DISK_NAME = 'disk.qcow2';

/** Longer than anything here takes: Packer is never ended by a limit of this benchmark's. */
const TIMEOUT = '60m';
const MIB = 1024 * 1024;

/** The recipe file, JSON being YAML. The sources are those of the base disk, so that the cache has it. */
export function composeRecipe(job: Job, source: Extract<PlannedSource, { kind: 'packages' }>): string {
  const [kernel = '', ...include] = source.include;
  const { suite, components } = source;
  return JSON.stringify({
    name: 'bench-packer',
    title: 'Benchmark beside Packer',
    family: 'debian',
    version: '12',
    arch: ['amd64'],
    grade: 'checked',
    proven: 'by the benchmark',
    sources: { packages: { suite, components, kernel, include } },
    machine: { memory: job.memory, cpus: job.cpus, disk: job.diskSize, firmware: 'uefi' },
    user: job.user,
    provision: job.steps.map(recipeStep),
    outputs: ['tgz'],
    // It is a machine to be measured, not one to be deployed.
    verify: { allow: [{ rule: '*', reason: 'a benchmark' }] },
    maas: { name: 'bench', title: 'Benchmark', base_image: 'ubuntu/jammy' },
  });
}

function recipeStep(step: Step): object {
  const name = step.title;
  if (step.kind === 'upload') return { name, upload: { from: step.from, to: step.to } };
  return step.kind === 'shell' ? { name, shell: step.lines } : { name, reboot: true };
}

/**
 * The HCL template. Where there is a choice it is the one in Packer's favour: nothing is copied, resized, compacted or
 * compressed, no checksum; and the wait for cloud-init, which compose does by itself, is a step. In compose's machine there is
 * no VNC and so no boot_wait, and writes of the disk are not flushed.
 */
export function packerTemplate(job: Job, files: PackerFiles): string {
  const { machine } = files;
  const source = {
    iso_url: files.base,
    iso_checksum: 'none',
    disk_image: true,
    use_backing_file: true,
    skip_compaction: true,
    disk_compression: false,
    skip_resize_disk: true,
    disk_size: `${Math.ceil(job.diskSize / MIB)}M`,
    format: 'qcow2',
    vm_name: DISK_NAME,
    output_directory: files.output,
    accelerator: 'tcg',
    headless: true,
    ...('argv' in machine
      ? { disable_vnc: true, net_device: 'virtio-net-pci', qemuargs: qemuArgs(machine.argv, files.serialLog) }
      : {
          boot_wait: '2s',
          memory: Math.floor(job.memory / MIB),
          cpus: job.cpus,
          qemuargs: maasArgs(machine, files),
        }),
    communicator: 'ssh',
    ssh_username: job.user,
    ssh_private_key_file: files.privateKey,
    ssh_timeout: TIMEOUT,
    shutdown_command: 'systemctl poweroff',
    shutdown_timeout: TIMEOUT,
  };
  // QEMU 6.1 and later want the format of a backing file, which Packer 1.6 does not say by itself.
  const create = block('qemu_img_args', [attribute('create', ['-F', 'qcow2'])]);
  const environment = Object.entries(files.env).map(([key, value]) => `${key}=${value}`);
  const shell = (more: Readonly<Record<string, unknown>>): string =>
    block('provisioner "shell"', attributes({ environment_vars: environment, start_retry_timeout: TIMEOUT, ...more }));
  const provisioners = job.steps.map((step) => {
    if (step.kind === 'upload') {
      return block('provisioner "file"', attributes({ source: step.from, destination: step.to }));
    }
    // The sleep holds the step until the guest's end breaks the connection: the next one cannot run before the restart.
    if (step.kind === 'reboot') return shell({ inline: ['systemctl reboot', 'sleep 3600'], expect_disconnect: true });
    return shell({ inline: step.lines });
  });
  return [
    block('source "qemu" "bench"', [...attributes(source), create]),
    block('build', [
      attribute('sources', ['source.qemu.bench']),
      shell({ inline: ['cloud-init status --wait'] }),
      ...provisioners,
    ]),
  ].join('\n\n');
}

/** compose's own ways to the guest, for which Packer has others. */
const OWN = new Set(['-name', '-chardev', '-mon', '-serial', '-netdev', '-display', '-S']);

/** Every other argument as it is, the network by the name Packer gives it, and the console into a file. */
function qemuArgs(argv: readonly string[], serialLog: string): string[][] {
  const args: string[][] = [];
  for (let at = 0; at < argv.length; at++) {
    const name = argv[at] ?? '';
    const next = argv[at + 1];
    const value = next === undefined || next.startsWith('-') ? undefined : next;
    if (value !== undefined) at++;
    if (OWN.has(name)) continue;
    const network = name === '-device' && readOptions(value ?? '').pairs.some(([key]) => key === 'netdev');
    args.push([name, network ? (value ?? '').replace(/\bnetdev=[^,]*/, 'netdev=user.0') : (value ?? '')]);
  }
  return [...args, ['-serial', `file:${serialLog}`]];
}

/** packer-maas's templates for cloud images on amd64, with emulation for KVM: their disks are IDE, their processor QEMU's own. */
function maasArgs(
  { code, vars, seed }: { readonly code: string; readonly vars: string; readonly seed: string },
  { output, serialLog }: PackerFiles,
): string[][] {
  return [
    ['-machine', 'accel=tcg'],
    ['-device', 'virtio-gpu-pci'],
    ['-drive', `if=pflash,format=raw,id=ovmf_code,readonly=on,file=${code}`],
    ['-drive', `if=pflash,format=raw,id=ovmf_vars,file=${vars}`],
    ['-drive', `file=${output}/${DISK_NAME},format=qcow2`],
    ['-drive', `file=${seed},format=raw`],
    ['-serial', `file:${serialLog}`],
  ];
}

function block(head: string, body: readonly string[]): string {
  const lines = body.flatMap((part) => part.split('\n')).map((line) => `  ${line}`);
  return [`${head} {`, ...lines, '}'].join('\n');
}

function attributes(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).map(([name, value]) => attribute(name, value));
}

/** JSON's values are HCL's, but for the two beginnings of a template in a text (HCL native syntax, template literals). */
function attribute(name: string, value: unknown): string {
  return `${name} = ${JSON.stringify(value).replaceAll(/[$%](?=\{)/g, '$&$&')}`;
}
