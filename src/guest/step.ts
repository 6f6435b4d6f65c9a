/** What a step is; data, as the plan holds it. */

/** What every step may say beside what it does. */
interface Common {
  readonly name?: string;
  /** Further tries after one that failed; each is told. @default 0 */
  readonly retries?: number;
  /**
   * How long one try may take, ms.
   * @default as long as something goes on in the guest (`WatchBudgets.stepStallMs`)
   */
  readonly timeoutMs?: number;
  /** A failure is told and passed over. */
  readonly allowFailure?: boolean;
}

export interface PackagesStep extends Common {
  readonly kind: 'packages';
  /** Names, with a version behind `=` where one is pinned. */
  readonly install: readonly string[];
  readonly remove?: readonly string[];
  readonly recommends?: boolean;
  /** Fetches the indexes first: always, never, or once a build. @default once a build */
  readonly update?: boolean;
  /** Brings all that is installed up to date first. */
  readonly upgrade?: boolean;
}

/** `from` is a file or a folder of this host. */
export interface UploadStep extends Common {
  readonly kind: 'upload';
  readonly from: string;
  readonly to: string;
  readonly mode?: number;
  readonly owner?: string;
  readonly exclude?: readonly string[];
}

/** `from` is a file or a folder of the guest, `to` a path under the folder of the artifacts. */
export interface DownloadStep extends Common {
  readonly kind: 'download';
  readonly from: string;
  readonly to: string;
}

export interface ShellStep extends Common {
  readonly kind: 'shell';
  readonly script?: string;
  readonly file?: string;
  /** In place of the script's first line. */
  readonly interpreter?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Account it runs as. @default root */
  readonly user?: string;
  /** Folder it runs in. @default / */
  readonly cwd?: string;
  /** Statuses that are success. @default [0] */
  readonly exitCodes?: readonly number[];
  /** The connection ends with it: a restart, a network that is set up anew. */
  readonly expectDisconnect?: boolean;
}

export interface WriteStep extends Common {
  readonly kind: 'write';
  readonly path: string;
  readonly content: string;
  readonly mode?: number;
  readonly owner?: string;
}

/** `timeoutMs` is how long the guest may take to go down. */
export interface RebootStep extends Common {
  readonly kind: 'reboot';
}

/** Stops until the operator goes on. */
export interface BreakpointStep extends Common {
  readonly kind: 'breakpoint';
  readonly note?: string;
}

/** One thing done in the guest, as root. */
export type Step = PackagesStep | UploadStep | DownloadStep | ShellStep | WriteStep | RebootStep | BreakpointStep;

/** Title of a step in progress and errors. */
export function stepTitle(step: Step, index: number): string {
  return `step ${index + 1}: ${step.name ?? step.kind}`;
}
