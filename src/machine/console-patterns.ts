import type { Milestone } from './milestones.ts';

/** What a console says when a phase is reached. */
export const PHASES: readonly (readonly [Milestone, RegExp])[] = [
  ['firmware', /BdsDxe:|UEFI firmware|SeaBIOS/],
  ['boot loader', /GNU GRUB|Loading Linux|Welcome to GRUB|ISOLINUX|SYSLINUX/],
  ['kernel', /\] Linux version |^Linux version /],
  ['userspace', /Welcome to .{1,80}!|systemd\[1\]: |Run \/s?bin\/init as init|Run \/init as init|Begin: |OpenRC /],
  ['login prompt', /(?:^|[\w)-] )login: ?$/],
  ['cloud-init', /Cloud-init v\. \S+ finished at/],
];

/** Says that cloud-init is at work; it is, until it says that it has finished. */
export const CLOUD_INIT_RUNS = /Cloud-init v\. \S+ running '/;

/** Says that everything which starts by itself has been started. */
export const SYSTEM_UP = /Reached target (?:\S+ - )?(?:Multi-User System|multi-user\.target|Graphical Interface)/;

/** A server in the guest, or cloud-init, tells of the login it refused; group 1 is the user. */
export const UNKNOWN_USER = /Invalid user (\S+) from|Login attempt for nonexistent user(?: '([^']+)')?/;

export interface ConsoleFailure {
  readonly code: string;
  readonly pattern: RegExp;
  readonly what: string;
  readonly hint: string;
}

const INSTALLER_HINT = 'The lines before it name the step; the answers of the recipe do not fit this medium.';

function installer(name: string, pattern: RegExp): ConsoleFailure {
  return { code: 'installer.failed', pattern, what: `${name} stopped and waits for a person`, hint: INSTALLER_HINT };
}

/**
 * Anaconda's ways to fail, by what it says first: dracut's part of it (dracut/anaconda-error-reporting.sh, wait_for_dev), then
 * its own (pyanaconda: kickstart.py, errors.py, exception.py, ui/tui), and the loader of Enterprise Linux 6.
 */
const ANACONDA: readonly ConsoleFailure[] = [
  {
    code: 'installer.no-second-stage',
    pattern: /Warning: \/dev\/root does not exist|It seems that the boot has failed\. Possible causes include/,
    what: 'Anaconda found no second stage',
    hint: 'inst.stage2 names the volume of the medium; arguments without "inst." count for nothing since release 9.',
  },
  {
    code: 'installer.kickstart',
    pattern:
      /An error occurred during reading the kickstart file|The following error was found while parsing the kickstart|The following problem occurred on line \d+ of the kickstart|Unable to find any kickstart|Can't get kickstart from|Error downloading kickstart file/,
    what: 'Anaconda cannot read the kickstart',
    hint: 'The lines behind it name the line. `compose recipe check` reads a kickstart by the rules of a release.',
  },
  {
    code: 'installer.script',
    pattern: /There was an error running the kickstart script at line \d+/,
    what: 'a script of the kickstart failed',
    hint: 'The line is that of its %pre or %post; what it said stands behind it.',
  },
  {
    code: 'installer.packages',
    pattern:
      /The following error occurred while (?:setting up|installing) the payload|The following error occurred while installing\.|The following software marked for installation has errors/,
    what: 'Anaconda could not install the packages',
    hint: 'Look at the names of packages, at the mirror and at the proxy.',
  },
  {
    code: 'installer.question',
    pattern:
      /The installation was stopped due to an error which occurred|No method given for cmdline mode|Please make (?:a selection from the above|your choice from (?:above )?) ?\[/,
    what: 'Anaconda wants to be told more than the kickstart says',
    hint: 'What is marked or listed before it is missing in the kickstart, or the kickstart was not found.',
  },
  installer(
    'Anaconda',
    /This is a fatal error and installation will be aborted|An unknown error has occurr?ed, look at the \/tmp\/anaconda-tb|no interactive debugging allowed|install exited abnormally|Pane is dead/,
  ),
];

/** What a console says when the boot will not come to its end. The first that matches counts. */
export const FAILURES: readonly ConsoleFailure[] = [
  {
    code: 'boot.panic',
    pattern: /Kernel panic - not syncing/,
    what: 'the kernel panicked',
    hint: 'The lines around it name the cause.',
  },
  {
    code: 'boot.initramfs',
    // dracut says it enters "emergency mode" too, and so comes before the mode of systemd.
    pattern:
      /^\s*\(initramfs\)|Dropping to a shell!|dracut:\/?#|Entering emergency mode\. Exit the shell|initramfs emergency recovery shell|^\[rootfs \S*\]#/,
    what: 'the initramfs found no root',
    hint: 'Check root= on the kernel command line and the drivers in the initramfs.',
  },
  {
    code: 'boot.emergency',
    pattern:
      /You are in (?:emergency|rescue) mode|Give root password for maintenance|Cannot open access to console, the root account is locked/,
    what: 'the system entered emergency mode',
    hint: 'Usually /etc/fstab names a device that is not there.',
  },
  {
    code: 'boot.no-bootable',
    // "Boot failed: not a bootable disk" is no failure: SeaBIOS goes on to the next device.
    pattern: /No bootable device|BdsDxe: No bootable option|UEFI Interactive Shell/,
    what: 'the firmware found nothing to boot',
    hint: 'Check that the disk has a boot loader for this firmware (EFI/BOOT/BOOTX64.EFI for UEFI).',
  },
  {
    code: 'boot.grub-rescue',
    pattern: /^grub rescue>|error: .{0,200}no such (?:device|partition)/,
    what: 'GRUB did not find its files',
    hint: 'Check the file system UUID in the grub.cfg on the ESP.',
  },
  {
    code: 'boot.secure-boot',
    // shim, and GRUB below it: both wait for a key then. A firmware that refuses an entry goes on to the next.
    pattern: /Verification failed.{0,40}(?:Security Violation|Access Denied)|bad shim signature/,
    what: 'Secure Boot refused what was to be started',
    hint: 'It is not signed by a key this firmware or shim knows, or was changed after it was signed.',
  },
  {
    code: 'boot.kernel',
    pattern:
      /error: (?:.{0,80}: )?(?:you need to load the kernel first|invalid magic number|invalid arch-independent ELF)/,
    what: 'GRUB cannot load the kernel',
    hint: 'Its file is missing, damaged, or of another architecture.',
  },
  // A question that preseeding left open has its priority in brackets (cdebconf, newt and text front ends).
  installer('the Debian installer', /Installation step failed|An installation step failed\. You can try|\[!!?\] [A-Z]/),
  installer(
    'subiquity',
    /Sorry, there was a problem (?:completing the installation|examining the storage|applying the network)|the installer has encountered an internal error|curtin: Installation failed with exception|finish: subiquity\/\S+: FAIL/,
  ),
  ...ANACONDA,
  {
    code: 'installer.packages',
    pattern: /These packages could not be found in the software repositories|Could not find the software to install/,
    what: 'the installer lacks packages it was asked for',
    hint: 'Look at the names of packages, and at the modules and repositories that have them.',
  },
  {
    code: 'installer.script',
    pattern: /User-defined scripts? (?:\S+ )?(?:failed|returned an error)|Script \S+ failed with exit code/,
    what: 'a script of the profile failed',
    hint: 'What it said stands before it.',
  },
  installer(
    'YaST',
    /Error while parsing the control file|An error occurred during the installation\.|\*\*\* Could not find the .{1,60} Repository|AutoYaST configuration file .{0,120}(?:not found|could not be)|The AutoYaST profile .{0,80}(?:not valid|invalid)/,
  ),
  {
    code: 'installer.packages',
    pattern: /Failed to tdnf install: .{0,200}Package name/,
    what: 'the installer of Azure Linux lacks a package it was asked for',
    hint: 'Look at the name of the kernel: it has to be on the medium.',
  },
  {
    code: 'installer.script',
    pattern: /compose: the script of the installation failed/,
    what: 'the script at the end of the installation failed',
    hint: 'What it said stands before it: names of packages, the mirror and the proxy are what it depends on.',
  },
  installer('the installer of Azure Linux', /compose: the installer of Azure Linux ended without an installation/),
  installer(
    'Agama',
    /agama-autoinstall.{0,40}(?:Could not|failed|Failed)|Could not (?:load|fetch|parse|validate) the profile|The profile is not valid/,
  ),
];
