/** What debian-installer still asks when a preseed file does not answer it. */
import type { Report } from '../problem.ts';

/** A line of a preseed file. */
export interface Answer {
  readonly owner: string;
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly line: number;
  readonly column: number;
}

/** Answered by any of these; `always`: asked whatever the priority, for there is no default. */
interface Need {
  readonly what: string;
  readonly by: readonly string[];
  readonly always: boolean;
  readonly example: string;
}

const NEEDS: readonly Need[] = [
  {
    what: 'the language and the country',
    by: ['debian-installer/locale', 'debian-installer/language'],
    always: false,
    example: 'd-i debian-installer/locale string en_US.UTF-8',
  },
  {
    what: 'the keyboard',
    by: ['keyboard-configuration/xkb-keymap', 'keyboard-configuration/layoutcode', 'keymap'],
    always: false,
    example: 'd-i keyboard-configuration/xkb-keymap select us',
  },
  {
    what: 'the mirror',
    by: [
      'mirror/country',
      'mirror/http/hostname',
      'mirror/https/hostname',
      'apt-setup/use_mirror',
      'apt-setup/no_mirror',
    ],
    always: false,
    example: 'd-i mirror/country string manual, then mirror/http/hostname and mirror/http/directory',
  },
  { what: 'the time zone', by: ['time/zone'], always: false, example: 'd-i time/zone string Etc/UTC' },
  {
    what: 'how the disk is partitioned',
    by: ['partman-auto/method', 'partman-auto/init_automatically_partition', 'preseed/include'],
    always: true,
    example: 'd-i partman-auto/method string regular',
  },
  {
    what: 'whether partitions are final',
    by: ['partman/choose_partition'],
    always: true,
    example: 'd-i partman/choose_partition select finish',
  },
  {
    what: 'whether partitions may be written',
    by: ['partman/confirm'],
    always: true,
    example: 'd-i partman/confirm boolean true',
  },
  {
    what: 'where the boot loader goes',
    by: [
      'grub-installer/bootdev',
      'grub-installer/choose_bootdev',
      'grub-installer/only_debian',
      'grub-installer/skip',
    ],
    always: true,
    example: 'd-i grub-installer/only_debian boolean true',
  },
  {
    what: 'the last question, whether to restart',
    by: ['finish-install/reboot_in_progress'],
    always: true,
    example: 'd-i finish-install/reboot_in_progress note',
  },
];

/** Reports what is not answered by any of `answers`; `included`: other files or scripts may answer it. */
export function checkNeeds(answers: ReadonlyMap<string, Answer>, included: boolean, report: Report): void {
  const isTrue = (name: string): boolean => answers.get(name)?.value === 'true';
  const tell = (always: boolean, what: string, example: string): void => {
    const hint = `Add: ${example}`;
    if (included || !always) {
      const unless = included ? 'what is included answers it' : 'the kernel is told priority=critical';
      report.warn({ line: 1 }, 'unanswered', `nothing answers ${what}: it is asked, unless ${unless}`, hint);
    } else report.error({ line: 1 }, 'unanswered', `nothing answers ${what}: the installer asks`, hint);
  };
  for (const { what, by, always, example } of NEEDS) {
    if (!by.some((name) => answers.has(name))) tell(always, what, example);
  }
  if (answers.get('partman-auto/method')?.value === 'lvm') {
    for (const name of ['partman-lvm/confirm', 'partman-lvm/confirm_nooverwrite']) {
      if (!isTrue(name)) tell(true, `${name}, asked for LVM`, `d-i ${name} boolean true`);
    }
  }
  const rootLogin = answers.get('passwd/root-login')?.value !== 'false';
  if (rootLogin && !['passwd/root-password', 'passwd/root-password-crypted'].some((name) => answers.has(name))) {
    tell(true, 'the password of root', 'd-i passwd/root-login boolean false, or passwd/root-password-crypted');
  }
  if (answers.get('passwd/make-user')?.value === 'false') return;
  const user = ['passwd/username', 'passwd/user-fullname'].every((name) => answers.has(name));
  const password = ['passwd/user-password', 'passwd/user-password-crypted'].some((name) => answers.has(name));
  if (!user || !password) {
    tell(true, 'the name or the password of the first user', 'd-i passwd/make-user boolean false');
  }
}
