import { expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { random } from '../../fixtures/fuzz.ts';
import { ConsoleLines } from '../../src/machine/console-lines.ts';
import { FAILURES, PHASES, SYSTEM_UP, UNKNOWN_USER } from '../../src/machine/console-patterns.ts';

/** Everything a console says, as `SerialConsole` looks at it: whole lines, then the one that has not ended. */
function seen(...chunks: string[]): string[] {
  const lines = new ConsoleLines();
  const whole = chunks.flatMap((chunk) => lines.push(chunk));
  return [...whole, lines.partial].filter((line) => line.trim() !== '');
}

const failureOf = (line: string): string | undefined => FAILURES.find(({ pattern }) => pattern.test(line))?.code;

test.each([
  ['Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)', 'boot.panic'],
  ['[    1.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100', 'boot.panic'],
  ['You are in emergency mode. After logging in, type "journalctl -xb" to view', 'boot.emergency'],
  ['Give root password for maintenance', 'boot.emergency'],
  ['Entering emergency mode. Exit the shell to continue.', 'boot.initramfs'],
  ['ALERT!  LABEL=root does not exist.  Dropping to a shell!', 'boot.initramfs'],
  ['(initramfs) ', 'boot.initramfs'],
  ['dracut:/# ', 'boot.initramfs'],
  ['No bootable device.', 'boot.no-bootable'],
  ['grub rescue> ', 'boot.grub-rescue'],
  ['error: no such device: 3f2a.', 'boot.grub-rescue'],
  ['  │ [!!] Partition disks │', 'installer.failed'],
  ['An installation step failed. You can try to run the failing item', 'installer.failed'],
  ['Sorry, there was a problem completing the installation.', 'installer.failed'],
  ["Please make a selection from the above ['c' to continue, 'q' to quit]: ", 'installer.question'],
  ["  Please make your choice from above ['q' to quit | 'b' to begin installation |", 'installer.question'],
  ['The installation was stopped due to an error which occurred while running in', 'installer.question'],
  ['No method given for cmdline mode, aborting', 'installer.question'],
  ['dracut: Warning: /dev/root does not exist', 'installer.no-second-stage'],
  [
    'dracut-initqueue[612]: Warning: It seems that the boot has failed. Possible causes include',
    'installer.no-second-stage',
  ],
  ['An error occurred during reading the kickstart file:', 'installer.kickstart'],
  ['The following problem occurred on line 2 of the kickstart file:', 'installer.kickstart'],
  ['The following error was found while parsing the kickstart configuration file:', 'installer.kickstart'],
  ["dracut-initqueue[612]: Warning: Can't get kickstart from /dev/vdb:/ks.cfg", 'installer.kickstart'],
  ['There was an error running the kickstart script at line 20.  This is a fatal', 'installer.script'],
  ['The following error occurred while installing the payload. This is a fatal error', 'installer.packages'],
  ['The following error occurred while installing.  This is a fatal error and', 'installer.packages'],
  ['The following software marked for installation has errors.', 'installer.packages'],
  ['install exited abnormally [1/1] ', 'installer.failed'],
  ['Running in cmdline mode, no interactive debugging allowed.', 'installer.failed'],
  [
    'There was an error running the script. This is a fatal error and installation will be aborted.',
    'installer.failed',
  ],
  ['*** Could not find the openSUSE Leap 15.6 Repository.', 'installer.failed'],
])('%s is %s', (line, code) => {
  expect(failureOf(line)).toBe(code);
});

test.each([
  'Boot failed: not a bootable disk',
  '[  OK  ] Reached target emergency.target - this never was',
  'systemd[1]: emergency.service - Emergency Shell was skipped',
  'Starting rescue shell is not needed',
  'error: no server is specified.',
  'a line of the installer: [!] done',
  'dracut-initqueue[400]: Warning: dracut-initqueue timeout',
])('%s is no failure', (line) => {
  expect(failureOf(line)).toBeUndefined();
});

test.each([
  ['BdsDxe: loading Boot0001 "UEFI Misc Device"', 'firmware'],
  ['GNU GRUB  version 2.06', 'boot loader'],
  ['[    0.000000] Linux version 6.1.0-56-cloud-amd64', 'kernel'],
  ['Welcome to Debian GNU/Linux 12 (bookworm)!', 'userspace'],
  ['localhost login: ', 'login prompt'],
  ['[   40.1] cloud-init[600]: Cloud-init v. 22.4.2 finished at Sat, 21 Nov 2026 10:00:00 +0000.', 'cloud-init'],
])('%s is the phase %s', (line, phase) => {
  expect(PHASES.filter(([, pattern]) => pattern.test(line)).map(([name]) => name)).toContain(phase);
});

test.each(['Last login: Sat Nov 21', 'pam_unix(login:session)', 'systemd-logind: New seat seat0.'])(
  '%s is no login prompt',
  (line) => {
    expect(PHASES.find(([name]) => name === 'login prompt')?.[1].test(line)).toBe(false);
  },
);

test('the last target of systemd is a system that has come up', () => {
  expect(SYSTEM_UP.test('[  OK  ] Reached target multi-user.target - Multi-User System.')).toBe(true);
  expect(SYSTEM_UP.test('[  OK  ] Reached target Multi-User System.')).toBe(true);
  expect(SYSTEM_UP.test('[  OK  ] Reached target basic.target - Basic System.')).toBe(false);
});

test('a server that knows no such user says so, with or without the name', () => {
  expect(UNKNOWN_USER.exec('sshd[400]: Invalid user admin from 10.0.2.2 port 4')?.[1]).toBe('admin');
  expect(UNKNOWN_USER.test('[118] Nov 21 10:21:59 Login attempt for nonexistent user')).toBe(true);
});

test('what full-screen programs write comes in lines, without escape sequences', () => {
  const screen =
    '\u001b[2J\u001b[3;5H\u001b[1m[!!] Partition disks\u001b[0m\u001b[5;5HNo root file system\u001b[7;5H<Go Back>';
  expect(seen(screen)).toEqual(['[!!] Partition disks', 'No root file system', '<Go Back>']);
});

test('lines are the same however the text was cut, and a sequence cut in two leaves nothing behind', () => {
  const text =
    'one\r\n\u001b[32mtwo\u001b[0m\rthree\n\u001b[10;20Hfour \u001b]0;title\u0007five\u001b(B\r\nhost login: ';
  const whole = seen(text);
  expect(whole).toEqual(['one', 'two', 'three', 'four five', 'host login: ']);
  for (let at = 1; at < text.length; at++)
    expect(seen(text.slice(0, at), text.slice(at)).join('|')).toBe(whole.join('|'));
});

test('any bytes at all are read in bounded lines and time', () => {
  for (let seed = 0; seed < 200; seed++) {
    const next = random(seed);
    const lines = new ConsoleLines();
    for (let chunk = 0; chunk < 8; chunk++) {
      const bytes = Array.from({ length: next() % 6000 }, () => (next() % 3 === 0 ? 0x1b : next() & 0x7f));
      for (const line of lines.push(String.fromCharCode(...bytes))) {
        expect(line.length).toBeLessThanOrEqual(4096);
        failureOf(line);
      }
      expect(lines.partial.length).toBeLessThanOrEqual(4096);
    }
  }
});

test('a flood without a newline takes no time to speak of', () => {
  for (const piece of ['Welcome to ', '*** Could not find the ', 'error: ', '[!', 'AutoYaST configuration file ']) {
    const lines = new ConsoleLines();
    const took = processorMs(() => {
      for (let i = 0; i < 20; i++) {
        for (const line of [...lines.push(piece.repeat(6000)), lines.partial]) {
          failureOf(line);
          for (const [, pattern] of PHASES) pattern.test(line);
        }
      }
    });
    expect(took).toBeLessThan(5000);
  }
});
