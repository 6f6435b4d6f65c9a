import type { Arch } from './arch.ts';

/** What runs a guest's instructions. */
export type AcceleratorKind = 'kvm' | 'hvf' | 'tcg';

/** Network cards by the names recipes use. */
export const NIC_MODELS = ['virtio', 'e1000', 'e1000e', 'rtl8139', 'vmxnet3', 'usb'] as const;
export type NicModel = (typeof NIC_MODELS)[number];

/** Everything about QEMU's machines that differs by architecture. */
export interface Board {
  /** QEMU's program. */
  readonly qemu: string;
  readonly machine: string;
  /** Options of `-machine` that depend on the accelerator. */
  readonly machineOptions: Readonly<Record<AcceleratorKind, readonly string[]>>;
  readonly cpu: Readonly<Record<AcceleratorKind, string>>;
  /** The kernel's name of the first serial line. */
  readonly console: string;
  readonly firmware: {
    /** How firmware descriptors name the architecture. */
    readonly architecture: string;
    /** Debian package of the descriptors. */
    readonly package: string;
    /** Length both flash files must have, bytes; undefined where QEMU takes them as they are. */
    readonly flashSize: number | undefined;
    readonly bios: boolean;
  };
  /** File of the ESP that every firmware tries. */
  readonly bootFile: string;
  readonly pvpanic: string;
  /** Keyboard and pointer to add beside a screen; the PC has a PS/2 keyboard already. */
  readonly inputs: readonly string[];
  /** `standard` needs no driver of the guest's, `virtio` resizes. */
  readonly graphics: Readonly<Record<'standard' | 'virtio', string>>;
  readonly tpm: string;
  /** Whether the machine can have a floppy drive. */
  readonly floppy: boolean;
  /** Prefix of the SATA buses that the machine type brings; undefined where a controller has to be added. */
  readonly sata: string | undefined;
  readonly nics: Readonly<Partial<Record<NicModel, string>>>;
}

const MIB = 1024 * 1024;

const PCI_NICS = { virtio: 'virtio-net-pci', e1000: 'e1000', e1000e: 'e1000e', rtl8139: 'rtl8139', usb: 'usb-net' };

/**
 * x86-64-v2 without what TCG cannot do, by the number of an Atom that does not speculate. Kernels know it as immune to
 * Meltdown and its like (cpu_vuln_whitelist of arch/x86/kernel/cpu/common.c), which emulation is too, and leave out page-table
 * isolation, with which every system call empties TCG's TLB: a Debian 12 logs in after 0.74 of the time, and what it runs then
 * takes 0.64. Of Intel's numbers, as another vendor's TSC is not taken for a clock (unsynchronized_tsc); of a stepping behind
 * the one whose large pages kernels turn off (early_init_intel, AAE44).
 */
const AMD64_TCG = 'Westmere,model=28,stepping=10';

/**
 * The one place that tells architectures apart. CPU models under TCG are named ones: Cortex-A72 needs no pointer
 * authentication, which TCG computes slowly, and QEMU's `max` changes with every release.
 */
export const BOARDS: Readonly<Record<Arch, Board>> = {
  amd64: {
    qemu: 'qemu-system-x86_64',
    machine: 'q35',
    machineOptions: { kvm: [], hvf: [], tcg: [] },
    cpu: { kvm: 'host', hvf: 'host', tcg: AMD64_TCG },
    console: 'ttyS0',
    firmware: { architecture: 'x86_64', package: 'ovmf', flashSize: undefined, bios: true },
    bootFile: 'BOOTX64.EFI',
    pvpanic: 'pvpanic',
    inputs: ['usb-tablet'],
    graphics: { standard: 'VGA', virtio: 'virtio-vga' },
    tpm: 'tpm-crb',
    floppy: true,
    sata: 'ide',
    nics: { ...PCI_NICS, vmxnet3: 'vmxnet3' },
  },
  arm64: {
    qemu: 'qemu-system-aarch64',
    machine: 'virt',
    // The host's own interrupt controller under KVM. HVF takes QEMU's choice: releases before 8.0 have no GICv3 for it.
    machineOptions: { kvm: ['gic-version=host'], hvf: [], tcg: ['gic-version=3'] },
    cpu: { kvm: 'host', hvf: 'host', tcg: 'cortex-a72' },
    console: 'ttyAMA0',
    // hw/arm/virt.c maps two flash devices of 64 MiB and refuses a file of any other length.
    firmware: { architecture: 'aarch64', package: 'qemu-efi-aarch64', flashSize: 64 * MIB, bios: false },
    bootFile: 'BOOTAA64.EFI',
    pvpanic: 'pvpanic-pci',
    inputs: ['usb-kbd', 'usb-tablet'],
    graphics: { standard: 'ramfb', virtio: 'virtio-gpu-pci' },
    tpm: 'tpm-tis-device',
    floppy: false,
    sata: undefined,
    nics: PCI_NICS,
  },
};

/** How firmware descriptors name the machine that `-machine type` stands for: without the version, which they end with `*`. */
export function descriptorMachine(argument: string): string {
  const type = argument.split(',', 1)[0] ?? '';
  if (type === 'q35' || type.startsWith('pc-q35-')) return 'pc-q35-';
  if (type === 'pc' || type.startsWith('pc-i440fx-')) return 'pc-i440fx-';
  return type.startsWith('virt-') ? 'virt-' : `${type}-`;
}
