import { connect, type Socket } from 'node:net';
import { MachineError } from '../errors.ts';
import type { Emit } from '../events.ts';

/** How far a guest has come, as its console tells. */
export type BootPhase = 'firmware' | 'boot loader' | 'kernel' | 'userspace' | 'login prompt';

const PHASES: readonly (readonly [BootPhase, RegExp])[] = [
  ['firmware', /BdsDxe:|UEFI firmware|SeaBIOS/],
  ['boot loader', /GNU GRUB|Loading Linux|Welcome to GRUB/],
  ['kernel', /\] Linux version |^Linux version /],
  ['userspace', /Welcome to .*!|systemd\[1\]: |Run \/init as init|Begin: /],
  ['login prompt', / login: ?$/],
];

/** What a console says when the boot will not come to its end, with the code and the next step for each. */
const FAILURES: readonly (readonly [code: string, pattern: RegExp, what: string, hint: string])[] = [
  ['boot.panic', /Kernel panic - not syncing/, 'the kernel panicked', 'The lines before it name the cause.'],
  [
    'boot.emergency',
    /You are in emergency mode|Give root password for maintenance|Cannot open access to console, the root account is locked/,
    'the system entered emergency mode',
    'Usually /etc/fstab names a device that is not there.',
  ],
  [
    'boot.initramfs',
    /^\(initramfs\)|dracut:\/#|Entering emergency mode/,
    'the initramfs found no root',
    'Check root= on the kernel command line and the drivers in the initramfs.',
  ],
  [
    'boot.no-bootable',
    /No bootable device|BdsDxe: No bootable option|UEFI Interactive Shell|Boot failed: not a bootable disk/,
    'the firmware found nothing to boot',
    'Check that the disk has a boot loader for this firmware (EFI/BOOT/BOOTX64.EFI for UEFI).',
  ],
  [
    'boot.grub-rescue',
    /^grub rescue>|error: .*no such (device|partition)/,
    'GRUB did not find its files',
    'Check the file system UUID in the grub.cfg on the ESP.',
  ],
];

/** A firmware that starts this many times is a machine that resets itself. */
const MAX_STARTS = 5;
const FIRMWARE_START = /BdsDxe: loading Boot|SeaBIOS \(version/;
const KEPT_LINES = 200;
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g;

/** Reads a guest's console, notes how far the boot has come, and tells at once when it has failed. */
export class SerialConsole implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  #partial = '';
  #starts = 0;
  #phase: BootPhase | undefined;
  readonly #onFailure: (error: MachineError) => void;
  readonly #emit: Emit;
  readonly #name: string;

  private constructor(socket: Socket, name: string, emit: Emit, onFailure: (error: MachineError) => void) {
    this.#socket = socket;
    this.#name = name;
    this.#emit = emit;
    this.#onFailure = onFailure;
  }

  static async connect(
    path: string,
    options: { readonly name: string; readonly emit: Emit; readonly onFailure: (error: MachineError) => void },
  ): Promise<SerialConsole> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const console = new SerialConsole(socket, options.name, options.emit, options.onFailure);
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (text: string) => console.#take(text));
    return console;
  }

  /** The phase reached last. */
  get phase(): BootPhase | undefined {
    return this.#phase;
  }

  /** The last lines, escape sequences removed. */
  tail(count = 40): string[] {
    return [...this.#lines, this.#partial].filter((line) => line.trim() !== '').slice(-count);
  }

  #take(text: string): void {
    this.#emit({ type: 'output', phase: 'boot', stream: 'serial', text });
    const lines = (this.#partial + text.replace(ESCAPES, '')).split(/\r\n|\n|\r(?!$)/);
    this.#partial = (lines.pop() ?? '').slice(-4096);
    for (const line of lines) this.#line(line);
    // A prompt ends without a newline.
    if (this.#partial !== '') this.#match(this.#partial);
  }

  #line(line: string): void {
    this.#lines.push(line.slice(0, 1000));
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    if (FIRMWARE_START.test(line) && ++this.#starts >= MAX_STARTS) {
      this.#fail(
        'boot.reboot-loop',
        `the machine started ${this.#starts} times`,
        'The lines before a restart name the cause.',
      );
    }
    this.#match(line);
  }

  #match(line: string): void {
    for (const [phase, pattern] of PHASES) {
      if (phase === this.#phase || !pattern.test(line)) continue;
      this.#phase = phase;
      this.#emit({ type: 'log', level: 'debug', phase: 'boot', message: `guest: ${phase}` });
    }
    for (const [code, pattern, what, hint] of FAILURES) if (pattern.test(line)) this.#fail(code, what, hint);
  }

  #fail(code: string, what: string, hint: string): void {
    this.#onFailure(
      new MachineError(code, `Cannot boot ${this.#name}: ${what}`, { hint, evidence: { serial: this.tail(25) } }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }
}
