import { UsageError } from '../errors.ts';
import { type QemuOptions, readOptions } from './argv-options.ts';
import { LISTENERS, MANAGED } from './extra-args-rules.ts';

/** An option of QEMU with its value, as QEMU's own command line parser splits them. */
interface Option {
  /** Without its dashes. */
  readonly name: string;
  readonly value: string | undefined;
}

/** Options that take no value (qemu-options.hx, those without HAS_ARG). Every other one takes the next word. */
const FLAGS = new Set(
  (
    'h help version enable-kvm full-screen alt-grab ctrl-grab no-frame no-quit sdl curses portrait win2k-hack no-fd-bootchk no-acpi ' +
    'no-hpet nographic snapshot S s no-reboot no-shutdown singlestep one-insn-per-tb daemonize nodefaults no-user-config mem-prealloc ' +
    'preconfig only-migratable usb xen-attach xen-domid-restrict semihosting old-param enable-sync-profile audio-help enable-fips'
  ).split(' '),
);

/** Options whose `id` or `node-name` is a name among all of their kind, and keys by which a device takes such a name. */
const NAMED = new Set([
  'device',
  'drive',
  'blockdev',
  'chardev',
  'netdev',
  'nic',
  'net',
  'object',
  'tpmdev',
  'mon',
  'audiodev',
]);
const REFERENCES = new Set(['drive', 'netdev', 'chardev', 'tpmdev', 'bus', 'mon']);

/**
 * Refuses extra arguments that collide with what compose manages. They only add: QEMU itself would take some of them in
 * place of compose's, and others make it listen where nobody expects it.
 * @param managed the arguments compose made
 * @throws UsageError `machine.extra-args` naming the option and compose's own field
 */
export function checkExtraArgs(extra: readonly string[], managed: readonly string[]): void {
  const taken = managedNames(managed);
  for (const { name, value } of splitArgv(extra)) {
    const rule = MANAGED[name];
    if (rule !== undefined) throw refusal(name, value, rule.why, rule.field);
    const text = value ?? '';
    if (FLAGS.has(name)) continue;
    if (/^(\?|help)$|,(\?|help)$|=help$/.test(text)) {
      throw refusal(name, value, 'QEMU prints a list and ends', 'none');
    }
    const options = readOptions(text);
    const listens = LISTENERS[name]?.(options, text);
    if (listens !== undefined) throw refusal(name, value, listens.why, listens.field);
    if (NAMED.has(name)) checkNames(name, text, options, taken);
    if (name === 'set') checkSet(text, taken);
    if (name === 'global' && /cfi\.pflash01/.test(text)) {
      throw refusal(name, value, 'the flash is the firmware’s', 'secureBoot');
    }
    if (name === 'drive' && options.pairs.some(([key, text]) => key === 'if' && text === 'pflash')) {
      throw refusal(name, value, 'the flash is the firmware’s', 'firmware');
    }
    const orders = options.word !== undefined || options.pairs.some(([key]) => key === 'order' || key === 'once');
    if (name === 'boot' && orders) throw refusal(name, value, 'guests boot in the order of the disks', 'disks');
  }
}

function refusal(name: string, value: string | undefined, why: string, field: string): UsageError {
  const shown = value === undefined ? `-${name}` : `-${name} ${value}`;
  return new UsageError('machine.extra-args', `Cannot add QEMU's argument "${shown}": ${why}`, {
    hint: field === 'none' ? 'Leave it out.' : `Use compose's own field ${field} instead.`,
    evidence: { option: `-${name}`, field },
  });
}

/** @throws UsageError for a word that is no option's, and for an option without its value */
function splitArgv(argv: readonly string[]): Option[] {
  const options: Option[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (!/^--?[^-]/.test(word)) {
      const hint = 'A disk is added by the field disks; an option and its value are two arguments.';
      const what = `Cannot add QEMU's argument "${word}": QEMU takes a word without a dash for a disk`;
      throw new UsageError('machine.extra-args', what, { hint, evidence: { option: word, field: 'disks' } });
    }
    const name = word.replace(/^--?/, '');
    // A managed option is named as such also where its value is missing.
    if (FLAGS.has(name)) options.push({ name, value: undefined });
    else if (at + 1 < argv.length || MANAGED[name] !== undefined) options.push({ name, value: argv[++at] });
    else {
      throw new UsageError('machine.extra-args', `Cannot add QEMU's argument "${word}": its value is missing`, {
        hint: 'An option and its value are two arguments.',
        evidence: { option: word, field: 'none' },
      });
    }
  }
  return options;
}

interface Taken {
  readonly names: ReadonlySet<string>;
  readonly bootIndices: ReadonlySet<string>;
}

function managedNames(argv: readonly string[]): Taken {
  const names = new Set<string>();
  const bootIndices = new Set<string>();
  for (const { name, value } of splitArgv(argv)) {
    if (!NAMED.has(name)) continue;
    for (const [key, text] of readOptions(value ?? '').pairs) {
      if (key === 'id' || key === 'node-name') names.add(text);
      if (key === 'bootindex') bootIndices.add(text);
    }
  }
  return { names, bootIndices };
}

/** compose's field for a name it gave. */
function fieldOf(name: string): string {
  if (name.startsWith('disk') || /^(scsi|sata|fdc)$/.test(name)) return 'disks';
  if (name === 'net0') return 'network';
  if (name.startsWith('tpm')) return 'tpm';
  if (name === 'vnc0') return 'vnc';
  return 'none';
}

function checkNames(name: string, value: string, { pairs }: QemuOptions, taken: Taken): void {
  for (const [key, text] of pairs) {
    if ((key === 'id' || key === 'node-name') && taken.names.has(text)) {
      throw refusal(name, value, `the id "${text}" is one of compose's`, fieldOf(text));
    }
    if (key === 'bootindex' && taken.bootIndices.has(text)) {
      throw refusal(name, value, `the boot index ${text} is that of a disk of compose's`, 'disks');
    }
    // A device may sit on a bus of compose's; a chardev, drive or network of compose's has its one user already.
    if (key !== 'bus' && REFERENCES.has(key) && taken.names.has(text)) {
      throw refusal(
        name,
        value,
        `the ${key} "${text}" is one of compose's, which a device of its own uses`,
        fieldOf(text),
      );
    }
  }
}

function checkSet(value: string, taken: Taken): void {
  const id = value.split('.')[1] ?? '';
  if (taken.names.has(id)) throw refusal('set', value, `"${id}" is one of compose's`, fieldOf(id));
}
