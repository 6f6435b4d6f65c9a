/**
 * Putting GRUB for BIOS on a disk with a GPT, as grub-bios-setup does it: the first sector knows where the core image
 * begins, and the core's own first sector where the rest of it is (GRUB source, include/grub/i386/pc/boot.h and
 * grub-core/boot/i386/pc/diskboot.S).
 */

/** In boot.img. */
const BOOT = { driveCheck: 0x66, kernelSector: 0x5c } as const;
/** Boot code of a master boot record; the disk's signature follows it. */
const BOOT_CODE = 440;
const SECTOR = 512;
/** The last list of sectors in the core's first sector: start, count, segment. */
const FIRST_LIST = SECTOR - 12;
const NOP = 0x90;

export interface GrubBios {
  /** For the master boot record. */
  readonly bootCode: Uint8Array;
  /** For the BIOS boot partition, from its start. */
  readonly core: Uint8Array;
}

/**
 * @param boot GRUB's boot.img
 * @param core what grub-mkimage made for i386-pc
 * @param sector of the disk at which the core will begin
 * @param room bytes of the BIOS boot partition
 * @throws RangeError when one of them is no such image, or the core does not fit
 */
export function embedGrubBios(boot: Uint8Array, core: Uint8Array, sector: number, room: number): GrubBios {
  if (boot.length !== SECTOR || boot[510] !== 0x55 || boot[511] !== 0xaa) {
    throw new RangeError(`a boot.img of ${boot.length} bytes is not GRUB's`);
  }
  if (core.length <= SECTOR) throw new RangeError(`a core image of ${core.length} bytes has no second sector`);
  if (core.length > room) throw new RangeError(`a core image of ${core.length} bytes does not fit into ${room}`);
  const bootCode = boot.slice(0, BOOT_CODE);
  new DataView(bootCode.buffer).setBigUint64(BOOT.kernelSector, BigInt(sector), true);
  // Some BIOSes hand over a wrong drive number; without the jump GRUB mends it.
  bootCode.fill(NOP, BOOT.driveCheck, BOOT.driveCheck + 2);
  const whole = core.slice();
  new DataView(whole.buffer).setBigUint64(FIRST_LIST, BigInt(sector + 1), true);
  return { bootCode, core: whole };
}
