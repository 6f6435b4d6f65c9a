import type { Arch } from '../machine/arch.ts';
import type { FileType } from '../pack/filetypes.ts';
import type { Failure } from './failure.ts';
import type { RehearsalCheck } from './guest-checks.ts';
import type { RehearsalNetwork } from './network.ts';
import type { RehearsalFirmware, StorageLayout } from './storage-layout.ts';
import type { RehearsedStage } from './timeline.ts';

/** How an artifact deployed here. */
export interface RehearseReport {
  readonly version: 1;
  readonly artifact: string;
  readonly filetype: FileType;
  readonly arch: Arch;
  readonly firmware: RehearsalFirmware;
  readonly secureBoot: boolean;
  /** Undefined for a dd image, which brings its own. */
  readonly layout: StorageLayout | undefined;
  /** Length of the disk it was deployed onto, bytes. */
  readonly disk: number;
  /** `built-in`, or the source tree that was used. */
  readonly curtin: string;
  readonly network: RehearsalNetwork;
  readonly passed: boolean;
  readonly failure: Failure | undefined;
  readonly stages: readonly RehearsedStage[];
  readonly checks: readonly RehearsalCheck[];
  /** The image's own hooks or those built into curtin; undefined when it did not come so far. */
  readonly hooks: string | undefined;
  readonly kernel: string | undefined;
  /** What is not wrong, but worth knowing. */
  readonly remarks: readonly string[];
  /** What the machine asked and told, in order. */
  readonly requests: readonly { readonly item: string; readonly status: number; readonly signed: boolean }[];
  readonly events: readonly { readonly origin: string; readonly name: string; readonly result: string | undefined }[];
  readonly evidence: {
    readonly folder: string;
    /** Console of the deployment, and of the first boot where it came so far. */
    readonly deploySerial: string | undefined;
    readonly bootSerial: string | undefined;
    /** The last picture of the first boot's screen. */
    readonly screenshot: string | undefined;
    /** The deployed disk, qcow2, where it was kept. */
    readonly disk: string | undefined;
  };
  readonly ms: number;
}
