/** Boot loaders: what curtin looks for in a tree, and what firmware looks for on a disk. */
import type { Facts } from '../facts.ts';
import { EFI_NAMES, type Esp, type EspFile, treeEsp, vendorFolders } from '../loaders.ts';
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';
import type { TreeFacts } from '../tree-facts.ts';
import { hasRoot } from './system.ts';

const GRUB = 'curtin curtin/commands/install_grub.py';
const UEFI = 'UEFI 2.10, section 3.5.1.1; curtin writes no boot entry for a dd image';
/** Directory of GRUB's modules for each firmware. */
const EFI_MODULES: Readonly<Record<string, string>> = { amd64: 'x86_64-efi', arm64: 'arm64-efi' };
const GRUB_FOLDERS = ['usr/lib/grub', 'usr/share/grub2', 'usr/lib/grub2'];

export const bootRules: readonly Rule[] = [
  {
    id: 'boot.bios',
    severity: 'error',
    title: 'A tree has GRUB for the BIOS',
    why: 'curtin runs grub-install for i386-pc on a machine that starts by BIOS; without its modules the deployment fails there.',
    source: `${GRUB}, gen_install_commands`,
    mend: 'Install grub-pc-bin (Debian), grub2-pc and grub2-tools (EL), grub2-i386-pc (SUSE).',
    for: { of: 'tree', machines: ['amd64'] },
    check: (facts) => {
      const { tree } = facts;
      if (tree === undefined || !hasRoot(tree) || installsPackages(facts)) return HOLDS;
      if (!hasGrub(tree)) return [{ message: 'there is neither grub-install nor grub2-install' }];
      return unless(hasModules(tree, 'i386-pc'), 'there are no modules in /usr/lib/grub/i386-pc');
    },
  },
  {
    id: 'boot.uefi',
    severity: 'error',
    title: 'A tree has GRUB for UEFI, and efibootmgr',
    why: 'curtin registers a loader of the image, or has grub-install make one: without either the deployment fails on UEFI machines.',
    source: `${GRUB}, install_missing_packages, gen_uefi_install_commands`,
    mend: 'Install efibootmgr, and grub-efi-amd64 (Debian), grub2-efi-x64-modules or grub2-efi-x64 with shim-x64 (EL).',
    for: { of: 'tree', machines: ['amd64', 'arm64'] },
    check: (facts) => {
      const { tree } = facts;
      if (tree === undefined || !hasRoot(tree) || installsPackages(facts)) return HOLDS;
      if (tree.command('efibootmgr') === undefined) return [{ message: 'there is no efibootmgr' }];
      const machine = facts.artifact.machine ?? 'amd64';
      const modules = EFI_MODULES[machine] ?? '';
      if (hasGrub(tree) && hasModules(tree, modules)) return HOLDS;
      const names = EFI_NAMES[machine];
      const onEsp = [...treeEsp(tree).keys()].some((path) => path.endsWith(`/grub${names?.suffix}.efi`));
      return unless(onEsp, `there are no modules in /usr/lib/grub/${modules}, and no loader in /boot/efi`);
    },
  },
  {
    id: 'boot.efi-vendor',
    severity: 'error',
    title: 'An EL tree has its loader where curtin looks: EFI/<ID>',
    why: 'curtin looks in the directory named by ID of os-release (redhat for rhel and ol); in another place, or spelled otherwise, the loader is not found, and GRUB without a signature takes its place.',
    source: 'curtin curtin/commands/curthooks.py, find_efi_loader',
    mend: 'Keep /boot/efi of the build in the tree, or copy the directory to the name that curtin looks for.',
    for: { of: 'tree', families: ['el'], machines: ['amd64', 'arm64'], steps: 'built-in' },
    check: ({ tree, artifact }) => {
      if (tree === undefined) return HOLDS;
      const esp = treeEsp(tree);
      const names = EFI_NAMES[artifact.machine ?? 'amd64'];
      if (names === undefined || esp.size === 0) return HOLDS;
      const vendor = ['rhel', 'ol', 'redhat'].includes(tree.id) ? 'redhat' : tree.id;
      const wanted = [`EFI/${vendor}/shim${names.suffix}.efi`, `EFI/${vendor}/grub${names.suffix}.efi`];
      const spelled = new Set([...esp.values()].map(({ path }) => path));
      const folders = vendorFolders(esp).join(', ') || 'none';
      return unless(
        wanted.some((path) => spelled.has(path)),
        `there is no ${wanted[0]}; vendors' directories: ${folders}`,
        '/boot/efi/EFI',
      );
    },
  },
  {
    id: 'boot.shim-pair',
    severity: 'error',
    title: 'shim and GRUB stand together, of one architecture',
    why: 'shim starts the GRUB in its own directory and nothing else.',
    source: 'shim shim.c, DEFAULT_LOADER; LP packer-maas issues 108 and 19',
    mend: 'Copy shim and GRUB of the same packages into each directory of EFI.',
    for: { of: 'any' },
    check: (facts) => {
      const esp = espOf(facts);
      return esp === undefined ? HOLDS : pairProblems(esp);
    },
  },
  {
    id: 'boot.signed-pair',
    severity: 'warning',
    title: 'A tree of Debian or Ubuntu has signed shim and signed GRUB, both or neither',
    why: 'grub-install puts a signed GRUB behind a signed shim only where both are there; with one of them a machine with Secure Boot stops at its firmware.',
    source: 'Debian grub2 grub-install, --uefi-secure-boot',
    mend: 'Install shim-signed and grub-efi-amd64-signed (arm64: grub-efi-arm64-signed).',
    for: { of: 'tree', families: ['debian', 'ubuntu'], machines: ['amd64', 'arm64'] },
    check: ({ tree, artifact }) => {
      const names = EFI_NAMES[artifact.machine ?? 'amd64'];
      const modules = EFI_MODULES[artifact.machine ?? 'amd64'];
      if (tree === undefined || names === undefined) return HOLDS;
      const shim = tree.node(`usr/lib/shim/shim${names.suffix}.efi.signed`) !== undefined;
      const grub = tree.node(`usr/lib/grub/${modules}-signed/grub${names.suffix}.efi.signed`) !== undefined;
      return unless(
        shim === grub,
        shim ? 'shim is there without a signed GRUB' : 'a signed GRUB is there without shim',
      );
    },
  },
  {
    id: 'boot.entries',
    severity: 'error',
    title: "Boot entries of an EL tree do not name the build's root",
    why: 'grub2-mkconfig leaves the entries of /boot/loader as they are: the deployed machine waits for a disk that is not there.',
    source: 'curtin curtin/commands/install_grub.py, grub2-mkconfig; Boot Loader Specification',
    mend: 'Remove root= of the entries (grubby --update-kernel=ALL --remove-args=root), or write them in curtin-hooks.',
    for: { of: 'tree', families: ['el'], steps: 'built-in' },
    check: ({ tree }) =>
      (tree?.inside('boot/loader/entries') ?? []).flatMap(({ path }): Problem[] => {
        const text = tree?.text(Buffer.from(path).toString()) ?? '';
        const found = /^options\s.*\broot=(\S+)/m.exec(text)?.[1];
        return found === undefined || found.startsWith('$')
          ? []
          : [{ message: `it names root=${found}`, path: `/${Buffer.from(path)}` }];
      }),
  },
  {
    id: 'boot.disk',
    severity: 'error',
    title: 'A disk starts by UEFI or by BIOS',
    why: 'Nothing installs a boot loader from a dd image: what is on the disk is all there is, and firmware has no entry for it, so that UEFI takes EFI/BOOT alone.',
    source: UEFI,
    mend: 'Install GRUB with --removable --no-nvram, or copy shim and GRUB to EFI/BOOT, or grub-install for i386-pc.',
    for: { of: 'disk', machines: ['amd64', 'arm64'] },
    check: ({ disk, artifact }) => {
      if (disk === undefined || disk.tableProblems.length > 0 || disk.scheme === 'none') return HOLDS;
      const machine = artifact.machine ?? 'amd64';
      const fallback = EFI_NAMES[machine]?.fallback ?? '';
      if (disk.esp?.has(fallback) || (machine === 'amd64' && disk.bootCode)) return HOLDS;
      const why =
        disk.esp === undefined
          ? (disk.espProblem ?? 'there is no EFI system partition')
          : `it has no /${fallback.toUpperCase()}`;
      return [{ message: `${why}${machine === 'amd64' ? ', and no program in the first sector' : ''}` }];
    },
  },
  {
    id: 'boot.fallback',
    severity: 'error',
    title: 'The loader in EFI/BOOT is for the machine, and finds the next one',
    why: "It is what UEFI starts. shim goes on to the GRUB beside it, or by fb*.efi and a vendor's CSV file.",
    source: `${UEFI}; shim fallback.c`,
    mend: "Have GRUB beside shim in EFI/BOOT, or fbx64.efi there and BOOTX64.CSV in the vendor's directory.",
    for: { of: 'disk', machines: ['amd64', 'arm64'] },
    check: ({ disk, artifact }) => {
      const machine = artifact.machine ?? 'amd64';
      const names = EFI_NAMES[machine];
      const file = disk?.esp?.get(names?.fallback ?? '');
      if (disk?.esp === undefined || names === undefined || file === undefined) return HOLDS;
      const path = `/${file.path}`;
      if (file.loader === undefined) return [{ message: 'it is no EFI program', path }];
      if (file.loader.machine !== machine)
        return [{ message: `it is for ${file.loader.machine ?? 'an unknown machine'}`, path }];
      if (!file.loader.isShim) return HOLDS;
      const { esp } = disk;
      const csv = [...esp.keys()].some((one) => /^efi\/(?!boot\/)[^/]+\/boot[^/]*\.csv$/.test(one));
      const next = esp.has(`efi/boot/grub${names.suffix}.efi`) || (esp.has(`efi/boot/fb${names.suffix}.efi`) && csv);
      return unless(
        next,
        `it is shim, and there is neither grub${names.suffix}.efi nor a way by fb${names.suffix}.efi beside it`,
        path,
      );
    },
  },
  {
    id: 'boot.signed',
    severity: 'warning',
    title: 'The loader in EFI/BOOT is signed',
    why: 'A machine with Secure Boot on does not start it.',
    source: 'UEFI 2.10, section 32',
    mend: "Use the distribution's signed shim and GRUB.",
    for: { of: 'disk', machines: ['amd64', 'arm64'] },
    check: ({ disk, artifact }) => {
      const file = disk?.esp?.get(EFI_NAMES[artifact.machine ?? 'amd64']?.fallback ?? '');
      return unless(file?.loader === undefined || file.loader.signed, 'it has no signature', `/${file?.path}`);
    },
  },
];

/** Whether curtin gets the boot loader itself, from the network: its own steps on Debian's family do. */
function installsPackages({ tree }: Facts): boolean {
  return tree?.node('curtin/curtin-hooks') === undefined && (tree?.family === 'ubuntu' || tree?.family === 'debian');
}

function hasGrub(tree: TreeFacts): boolean {
  return (tree.command('grub-install') ?? tree.command('grub2-install')) !== undefined;
}

function hasModules(tree: TreeFacts, platform: string): boolean {
  return GRUB_FOLDERS.some((folder) =>
    tree.inside(`${folder}/${platform}`).some(({ path }) => Buffer.from(path).toString().endsWith('.mod')),
  );
}

/** Of a disk its partition, of a tree its directory. */
function espOf({ disk, tree }: Facts): Esp | undefined {
  if (disk !== undefined) return disk.esp;
  return tree === undefined ? undefined : treeEsp(tree);
}

function pairProblems(esp: Esp): Problem[] {
  const problems: Problem[] = [];
  for (const [key, file] of esp) {
    const match = /^(efi\/[^/]+)\/shim(x64|aa64)\.efi$/.exec(key);
    if (match === null) continue;
    const [, folder, suffix] = match;
    const grub = esp.get(`${folder}/grub${suffix}.efi`);
    if (grub === undefined)
      problems.push({ message: `there is no grub${suffix}.efi beside it`, path: `/${file.path}` });
    else if (!sameMachine(file, grub)) {
      problems.push({
        message: `it is for ${grub.loader?.machine ?? 'no machine'}, shim for ${file.loader?.machine}`,
        path: `/${grub.path}`,
      });
    }
  }
  return problems;
}

function sameMachine(shim: EspFile, grub: EspFile): boolean {
  return grub.loader !== undefined && (shim.loader === undefined || shim.loader.machine === grub.loader.machine);
}
