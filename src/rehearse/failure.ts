import { type ComposeError, isComposeError, MachineError } from '../errors.ts';

/** Where a rehearsal is; in the order they are passed. */
export const STAGES = [
  'artifact',
  'ephemeral',
  'ephemeral boot',
  'partitioning',
  'extract',
  'curthooks',
  'hook',
  'late',
  'boot-files',
  'boot',
  'metadata',
  'cloud-init',
  'login',
  'checks',
  'power off',
] as const;

export type StageName = (typeof STAGES)[number];

/** Why the artifact does not deploy. What is wrong with this host is thrown instead. */
export interface Failure {
  readonly stage: StageName;
  /** `rehearse.…`; never changes meaning. */
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly evidence: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
}

export function failure(
  stage: StageName,
  code: string,
  why: string,
  more: { readonly hint?: string | undefined; readonly evidence?: Failure['evidence'] | undefined } = {},
): Failure {
  const message = `Cannot deploy: ${why}`;
  return { stage, code, message, hint: more.hint, evidence: more.evidence ?? {} };
}

/** What Secure Boot refused, in whatever words. */
export const SECURE_BOOT = {
  code: 'rehearse.secure-boot',
  message: 'Cannot deploy: Secure Boot refuses what the installed disk starts',
  hint: 'shim, GRUB and kernel must be the vendor’s signed ones, unchanged.',
} as const;

/** What a machine's own error means while the installed system boots. Others are the host's, and go on as they are. */
const BOOT: Readonly<Record<string, readonly [code: string, why: string, hint: string]>> = {
  'boot.no-bootable': [
    'rehearse.no-boot-loader',
    'the firmware finds nothing to start on the installed disk',
    'UEFI starts EFI/BOOT/BOOTX64.EFI, or the entry that grub-install made; BIOS the boot sector.',
  ],
  'boot.grub-rescue': [
    'rehearse.boot-loader-lost',
    'GRUB does not find its files or the root',
    'Compare the UUIDs in grub.cfg with those of the file systems that the deployment made.',
  ],
  'boot.initramfs': [
    'rehearse.root-not-found',
    'the initramfs does not find the root file system',
    'root= names another device, or drivers for the disk are missing: build the initramfs for every machine.',
  ],
  'boot.emergency': [
    'rehearse.emergency',
    'the system enters emergency mode',
    'Usually /etc/fstab names a device that is not on the deployed disk.',
  ],
  'boot.kernel': ['rehearse.kernel-not-loaded', 'GRUB cannot load the kernel', 'The lines before it name the file.'],
  'boot.panic': ['rehearse.panic', 'the kernel panics', 'The lines around the panic name the cause.'],
  'boot.reboot-loop': ['rehearse.reboot-loop', 'the system restarts again and again', 'The lines before tell why.'],
  'boot.stalled': [
    'rehearse.stalled',
    'the machine does nothing any more and has not come up',
    'Look at the screenshot: a boot loader may wait for a key.',
  ],
  'boot.livelock': ['rehearse.stalled', 'the machine runs to no effect', 'Look at the screenshot.'],
  'machine.powered-off': ['rehearse.powered-off', 'the machine powered itself off', 'The last lines tell why.'],
};

/** The failure of the deployment that a machine's error stands for; undefined where it is not the artifact's fault. */
export function bootFailure(error: unknown, stage: StageName): Failure | undefined {
  if (!isComposeError(error)) return undefined;
  if (error.code === 'boot.secure-boot') {
    return { stage, ...SECURE_BOOT, evidence: evidenceOf(error) };
  }
  const known = error instanceof MachineError ? BOOT[error.code] : undefined;
  if (known === undefined) return undefined;
  const [code, why, hint] = known;
  return failure(stage, code, why, { hint, evidence: evidenceOf(error) });
}

/** Without the console's frames and rulers, which say nothing. */
function evidenceOf({ evidence, code }: ComposeError): Failure['evidence'] {
  const { serial } = evidence;
  const said = Array.isArray(serial) ? { serial: serial.filter((line: string) => /\w{2}/.test(line)) } : {};
  return { ...evidence, ...said, machine: code };
}
